"""An upload in parts that somebody does not want any more is aborted, not left to the next sweep."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adapters.test_s3_faults import LARGE, at, kept
from tests.servers import seaweedfs
from tests.wire import Fault, Wire


def test_ctrl_c_in_an_upload_in_parts_leaves_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    server = seaweedfs.entered(monkeypatch)
    bucket, wire = server.bucket(), Wire(server.client)

    def interrupt(operation: str, arguments: dict[str, Any]) -> Fault | None:
        if operation == "upload_part" and arguments["PartNumber"] == 2:
            raise KeyboardInterrupt
        return None

    wire.fault = interrupt
    with pytest.raises(KeyboardInterrupt):
        list(at(bucket, wire).put_many([LARGE]))
    assert wire.asked["create_multipart_upload"] == 1
    assert wire.asked["abort_multipart_upload"] >= 1
    assert kept(server, bucket) == []
