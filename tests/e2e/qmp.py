"""qmp.py SOCKET PICTURE: drives a machine with QEMU's own QMP client (PyPI: qemu.qmp), as any other program would.

Prints what it sees, a line each; leaves with 0 when everything was as QMP has it.
"""

import asyncio
import os
import socket
import sys

from qemu.qmp import ExecuteError, QMPClient


async def main(path, picture):
    client = QMPClient("stock")
    await client.connect(path)
    print("greeting", client.greeting.QMP.version)

    commands = {command["name"] for command in await client.execute("query-commands")}
    wanted = {"query-status", "stop", "cont", "system_reset", "system_powerdown", "screendump", "send-key", "quit"}
    assert wanted <= commands, f"missing: {wanted - commands}"

    status = await client.execute("query-status")
    assert status["running"] and status["status"] == "running", status

    drives = {drive["device"]: drive["stats"] for drive in await client.execute("query-blockstats")}
    print("went through", drives)
    # The BIOS looked whether it starts; the CD drive is empty.
    assert drives["disk0"]["rd_operations"] > 0 and drives["disk0"]["rd_bytes"] >= 512, drives
    assert drives["cd0"]["rd_bytes"] == 0, drives

    with client.listener(["STOP", "RESUME", "RESET", "POWERDOWN", "SHUTDOWN"]) as events:

        async def event(name):
            got = await asyncio.wait_for(events.get(), 60)
            assert got["event"] == name, got
            assert {"seconds", "microseconds"} <= got["timestamp"].keys(), got
            print("event", name, got.get("data"))
            return got

        await client.execute("stop")
        await event("STOP")
        status = await client.execute("query-status")
        assert not status["running"] and status["status"] == "paused", status
        await client.execute("cont")
        await event("RESUME")
        await client.execute("system_reset")
        got = await event("RESET")
        assert got["data"]["guest"] is False, got
        await client.execute("system_powerdown")
        await event("POWERDOWN")

        await client.execute("send-key", {"keys": [{"type": "qcode", "data": "shift"}, {"type": "qcode", "data": "a"}]})
        for wrong in ({"keys": [{"type": "qcode", "data": "no-such-key"}]}, {"keys": "a"}, {}):
            try:
                await client.execute("send-key", wrong)
            except ExecuteError as error:
                print("refused", error.error_class, error)
            else:
                raise AssertionError(f"send-key took {wrong}")
        try:
            await client.execute("no-such-command")
        except ExecuteError as error:
            assert error.error_class == "CommandNotFound", error.error_class

        # The engine opens no path: the file comes as a descriptor with the command.
        with open(picture, "wb") as file:
            client.send_fd_scm(file.fileno())
            await client.execute("screendump", {"filename": picture, "format": "png"})
        with open(picture, "rb") as file:
            assert file.read(8) == b"\x89PNG\r\n\x1a\n"

        [card] = await client.execute("x-dormer-query-networks")
        assert (card["device"], card["network"], card["plugged"], card["link"]) == ("net0", "nat", True, True), card
        assert card["mac"].startswith("52:54:00:") and not card["captured"] and card["sent-bytes"] >= card["sent"], card
        await client.execute("set_link", {"name": "net0", "up": False})
        [card] = await client.execute("x-dormer-query-networks")
        assert (card["plugged"], card["link"]) == (False, False), card
        await client.execute("set_link", {"name": "net0", "up": True})
        with open(picture + ".pcapng", "wb") as file:
            client.send_fd_scm(file.fileno())
            await client.execute("x-dormer-capture", {"name": "net0"})
        [card] = await client.execute("x-dormer-query-networks")
        assert card["captured"], card
        await client.execute("x-dormer-capture-end", {"name": "net0"})
        with open(picture + ".pcapng", "rb") as file:
            assert file.read(4) == b"\x0a\x0d\x0d\x0a"
        for command, arguments in [
            ("x-dormer-capture-end", {"name": "net0"}),
            ("x-dormer-capture", {"name": "net0"}),
            ("x-dormer-connect", {"name": "net0", "network": "nat"}),
            ("set_link", {"name": "net9", "up": True}),
        ]:
            try:
                await client.execute(command, arguments)
            except ExecuteError as error:
                print("refused", command, error)
            else:
                raise AssertionError(f"{command} {arguments} was not refused")

        await client.execute("quit")
        got = await event("SHUTDOWN")
        assert got["data"] == {"guest": False, "reason": "host-qmp-quit"}, got
    try:
        await client.disconnect()
    except EOFError:
        # It hung up first, which is what quit is for.
        pass
    print("done")


asyncio.run(main(*sys.argv[1:]))
