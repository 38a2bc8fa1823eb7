"""The server's side without a split: `whole.py BUNDLE FILE` answers with the whole file, by the bundle's own link."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def main(bundle: str, file: str) -> None:
    """Serve until killed; the first line says where."""
    spec = importlib.util.spec_from_file_location("serve_part", str(Path(bundle) / "serve_part.py"))
    assert spec is not None
    assert spec.loader is not None
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    run = serve.bundle()
    link = run.load(serve.HERE / "edge_link.py")
    with serve.Server(("127.0.0.1", 0), run, link, link.shared_key()) as server:
        part = run.manifest()["parts"][1]
        server.half = run.load(serve.HERE / part["loader"]).Model(file, {"threads": part["runtime"]["threads"]})
        server.most = 1 << 20
        print("serving on", ":".join(map(str, server.server_address)), flush=True)
        server.serve_forever()


main(*sys.argv[1:])
