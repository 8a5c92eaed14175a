"""What clients send and get, as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str
    k: int | None = Field(None, ge=1, le=20, description="how many sources to read")


class Source(BaseModel):
    id: str
    title: str
    score: float
    text: str


class Reply(BaseModel):
    question: str
    answer: str
    sources: list[Source]
    seconds: float = Field(description="since the question arrived, waiting included")
