"""A RAG system as a service over HTTP: `ragedu serve`, or `create_app` around a RAG of your own.

All clients share one model. Questions wait in a queue, and one thread takes up to `at_once` of them and answers them
together, by `RAG.ask_many`. For every token the weights are then read once for all, so that eight answers are written
in much less than eight times the time of one. Nobody waits for a batch to fill: at an idle service a question is a
batch of one. A streamed question is answered alone.

In batches rounding differs, which now and then chooses another word (see `LanguageModel.generate`). With at_once=1 the
answers are exactly those of `ask`.

The service speaks HTTP, not HTTPS. A request must have come whole within half a minute, and above some hundred
connections those that have been silent longest are closed (see `listening`). Where others than you can reach it, put a
reverse proxy in front of it, such as nginx.

The files, each of which imports only from those before it:

- messages: what clients send and get
- queue: the questions that wait, and the thread that answers them
- keys: the key that clients send
- documentation: the page at /docs, with a client in ten lines, `CLIENT`
- app: the application and its routes
- listening: ports, and running it
"""

try:
    import fastapi  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError('the service needs FastAPI and uvicorn: run  pip install "ragedu[serve]"') from error

from ragedu.serve.app import create_app
from ragedu.serve.documentation import CLIENT
from ragedu.serve.keys import LOOPBACK, check_key, key_from_environment
from ragedu.serve.listening import listen, running, serve
from ragedu.serve.messages import Query, Reply, Source

__all__ = [
    "CLIENT",
    "LOOPBACK",
    "Query",
    "Reply",
    "Source",
    "check_key",
    "create_app",
    "key_from_environment",
    "listen",
    "running",
    "serve",
]
