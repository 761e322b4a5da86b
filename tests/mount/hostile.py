"""Bytes on the ports that no program of ours would send."""

import os
import socket
import struct

from harness import KIB, MIB, check, check_equal, memory_bytes, seeded, write_file

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name, value):
    """HPACK: a literal that enters no table."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def call(method, stream=1):
    """The start of a gRPC call."""
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", method), (b":authority", b"x"),
              (b"content-type", b"application/grpc"), (b"te", b"trailers")]
    return frame(HEADERS, END_HEADERS, stream, b"".join(header(*field) for field in fields))


def message(payload, announced=None, compressed=0):
    length = len(payload) if announced is None else announced
    return struct.pack(">BI", compressed, length) + payload


def in_data_frames(payload, stream=1, flags=0):
    pieces = [payload[at:at + 16384] for at in range(0, len(payload), 16384)] or [b""]
    return b"".join(frame(DATA, flags if piece is pieces[-1] else 0, stream, piece) for piece in pieces)


METHODS = (b"/dfs.v1.MetaService/Session", b"/dfs.v1.ClusterService/Register",
           b"/dfs.v1.ClusterService/Heartbeat", b"/dfs.v1.StorageService/Put",
           b"/dfs.v1.StorageService/Get", b"/dfs.v1.StorageService/Sync",
           b"/dfs.v1.StorageService/Stat", b"/dfs.v1.StorageService/Identify",
           b"/dfs.v1.NoService/Nothing", b"/")


def payloads(generator):
    """What is sent as one message of a call."""
    yield b""
    yield b"\0" * 100
    yield b"\xff" * 1000
    for length in (1, 5, 17, 300, 5000):
        yield generator.randbytes(length)
    # A frame of ours whose header claims to be longer than the message.
    yield struct.pack("<I", 0xffffffff) + b"x" * 64
    yield struct.pack("<I", 1000) + b"x" * 10
    yield struct.pack("<I", 2) + b"\x08\x01" + generator.randbytes(2 * MIB)
    # Protobuf: a field that claims 2 GiB, and groups in groups.
    yield b"\x0a\xff\xff\xff\xff\x07" + b"x" * 10
    yield b"\x0b" * 10_000
    # Hello of a protocol version from the future; requests before any Hello.
    yield b"\x0a\x03\x08\xe7\x07"
    yield b"\x12\x04\x08\x01\x52\x00" * 50


def conversations(generator):
    for length in (1, 24, 1000, 100 * KIB):
        yield generator.randbytes(length)
    yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /" + b"a" * MIB + b" HTTP/1.1\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + generator.randbytes(200)  # TLS
    start = PREFACE + frame(SETTINGS, 0, 0, b"")
    yield PREFACE + generator.randbytes(5000)
    yield PREFACE + struct.pack(">I", 0xffffff)[1:] + bytes([DATA, 0, 0, 0, 0, 1])  # 16 MiB announced
    yield start + frame(CONTINUATION, 0, 1, b"x" * 100)
    yield start + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0xffffffff) * 50)
    yield start + frame(PING, 0, 0, b"12345678") * 5000
    yield start + frame(HEADERS, END_HEADERS, 1, generator.randbytes(300))
    yield start + frame(HEADERS, 0, 1, b"\0\x01a\x7f" + b"b" * 127) + frame(CONTINUATION, 0, 1, b"c" * 16000) * 200
    for method in METHODS:
        yield start + call(method) + in_data_frames(message(b"", announced=0xffffffff) + b"x" * 100_000)
        yield start + call(method) + in_data_frames(message(b"x", compressed=1))
        yield start + call(method) + in_data_frames(b"\0\0")  # half a length
        for payload in payloads(generator):
            yield start + call(method) + in_data_frames(message(payload), flags=END_STREAM)
            yield start + call(method) + in_data_frames(message(payload) * 3)
    yield start + b"".join(call(METHODS[0], stream) for stream in range(1, 2001, 2))  # 1,000 sessions at once


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def say(address, words, listen_seconds=0.02):
    """Sends; hears what comes back for a moment; hangs up."""
    with connect(address) as connection:
        try:
            connection.sendall(words)
            connection.settimeout(listen_seconds)
            while connection.recv(65536):
                pass
        except OSError:
            pass  # it may hang up on us, that is right


def malformed_bytes_on_the_ports_harm_nothing(space):
    generator = seeded("hostile")
    body = generator.randbytes(5 * MIB)
    with space.cluster(servers=2, replicas=2) as cluster:
        write_file(cluster.mount / "before", body, sync=True)
        before = cluster.processes()
        addresses = [before[name]["address"] for name in ("meta", "storage1")]
        for address in addresses:
            for words in conversations(generator):
                say(address, words)
            write_file(cluster.mount / "meanwhile", body, sync=True)
            check((cluster.mount / "meanwhile").read_bytes() == body, "wrong bytes were returned")

        cluster.check_all_alive()
        after = cluster.processes()
        check_equal({name: process["pid"] for name, process in after.items()},
                    {name: process["pid"] for name, process in before.items()}, "the processes")
        cluster.restart_mounts_cold()
        check((cluster.mount / "before").read_bytes() == body, "an old file holds wrong bytes")
        check_equal(sorted(os.listdir(cluster.mount)), ["before", "meanwhile"], "the root directory")
        check_equal(len(cluster.status()["servers"]), 2, "servers that the cluster knows")
        for name in ("meta", "storage1"):
            peak = memory_bytes(after[name]["pid"])
            check(peak < 600 * MIB, f"{name} used {peak // MIB} MiB")


def connections_that_say_nothing_do_not_stop_the_service(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        processes = cluster.processes()
        silent = []
        for name in ("meta", "storage1"):
            for number in range(300):
                connection = connect(processes[name]["address"])
                silent.append(connection)
                if number % 3 == 1:
                    connection.sendall(PREFACE[:number % 24])
                if number % 3 == 2:
                    connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + call(METHODS[number % len(METHODS)]))
        for number in range(20):
            write_file(cluster.mount / f"file-{number}", b"x" * MIB, sync=True)
            check((cluster.mount / f"file-{number}").read_bytes() == b"x" * MIB, "wrong bytes were returned")
        cluster.restart_mounts_cold()  # a new session finds its way in too
        check_equal(len(os.listdir(cluster.mount)), 20, "files")
        for connection in silent:
            connection.close()
        cluster.check_all_alive()
