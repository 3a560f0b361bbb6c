"""A websocket in front of a unix socket: how consoles (VNC, terminals) reach a client."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

CHUNK = 65536


async def pump(http: web.Request, path: str) -> web.StreamResponse:
    """Upgrade the request and carry bytes both ways until either side ends."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return web.Response(status=500, reason="unable to connect to the console")
    socket = web.WebSocketResponse(protocols=("binary",), max_msg_size=0)
    await socket.prepare(http)
    tasks = {asyncio.create_task(_to_client(reader, socket)), asyncio.create_task(_from_client(socket, writer))}
    _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    writer.close()
    await socket.close()
    return socket


async def _to_client(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    while data := await reader.read(CHUNK):
        await socket.send_bytes(data)


async def _from_client(socket: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            writer.write(message.data)
        elif message.type is WSMsgType.TEXT:
            writer.write(message.data.encode())
        await writer.drain()
