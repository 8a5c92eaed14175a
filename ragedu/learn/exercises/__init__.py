"""The exercises, one file a lesson: each ends with EXERCISES, a list of them in the order of the notebook."""
