"""Serves the functions of a module here, as coroutines, by aiohttp, whose 500 is the error."""

import asyncio
import importlib
import os
import sys

from aiohttp import web

from statefun import AsyncRequestReplyHandler


def coroutine(target):
    async def invoke(context, message):
        await asyncio.sleep(0)  # lets other requests in between
        target(context, message)
    return invoke


functions = importlib.import_module(sys.argv[1])
handler = AsyncRequestReplyHandler(functions.bound(coroutine))


async def handle(request):
    answer = await handler(await request.read())
    return web.Response(body=answer, content_type="application/octet-stream")


app = web.Application(client_max_size=64 << 20)
app.router.add_post("/{path:.*}", handle)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
