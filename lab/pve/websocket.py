"""A websocket in front of a console's unix socket: how screens and terminals reach a client."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from lab.pve.call import Call
from lab.pve.console import Stream, TerminalFrames

CHUNK = 65536


async def pump(http: web.Request, call: Call, stream: Stream) -> web.StreamResponse:
    """Upgrade the request and carry bytes both ways until either side ends."""
    try:
        reader, writer = await asyncio.open_unix_connection(stream.socket)
    except OSError:
        stream.close()
        return web.Response(status=500, reason="unable to connect to the console")
    socket = web.WebSocketResponse(protocols=("binary",), max_msg_size=0)
    await socket.prepare(http)
    try:
        await _carry(socket, reader, writer, TerminalFrames(call, stream.session) if stream.terminal else None)
    finally:
        writer.close()
        stream.close()
        await socket.close()
    return socket


async def _carry(
    socket: web.WebSocketResponse,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    frames: TerminalFrames | None,
) -> None:
    tasks = {asyncio.create_task(_to_client(reader, socket)), asyncio.create_task(_from_client(socket, writer, frames))}
    _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _to_client(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    while data := await reader.read(CHUNK):
        await socket.send_bytes(data)


async def _from_client(
    socket: web.WebSocketResponse,
    writer: asyncio.StreamWriter,
    frames: TerminalFrames | None,
) -> None:
    async for message in socket:
        if message.type not in {WSMsgType.BINARY, WSMsgType.TEXT}:
            return
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        if frames is not None:
            data, reply = frames.feed(data)
            if reply:
                await socket.send_bytes(reply)
        writer.write(data)
        await writer.drain()
