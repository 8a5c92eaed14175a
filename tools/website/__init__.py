"""The site: from the stored notebooks, README's tables and the docstrings to the sources that Sphinx builds.

    course        which lessons there are, and what README's tables say of them
    notebooks     a stored notebook as a page: links, figures, solutions folded away
    links         where a relative link of the repository leads on the site
    sliders       what BM25's sliders need to work without a kernel
    verification  how a page was verified: commit, outputs compared, claims asserted
    reference     a page for each module of the package
    bibliography  what the lessons recommend for further reading, with addresses
    tables        a table in HTML; the pages of glossary and atlas, where their data are there
    staging       all of it written into one folder

`tools/build_site.py` runs them.
"""
