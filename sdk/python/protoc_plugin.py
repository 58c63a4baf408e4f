"""Runs a generator that is built into protoc as a plugin of its own.

grpcio-tools brings protoc with the Python and the gRPC Python generator inside; buf wants
plugins. This one hands the files of the request to that protoc and returns what it wrote.
Usage: protoc_plugin.py python|grpc_python
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def main() -> int:
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as directory:
        descriptors = Path(directory, "descriptors")
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        out = Path(directory, "out")
        out.mkdir()
        arguments = ["protoc", f"--descriptor_set_in={descriptors}", f"--{sys.argv[1]}_out={out}"]
        if status := protoc.main(arguments + list(request.file_to_generate)):
            return status
        for path in sorted(out.rglob("*.py")):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text())
        if sys.argv[1] == "python":
            # Tells type checkers that the packages are typed.
            for package in sorted({Path(name).parent for name in request.file_to_generate}):
                response.file.add(name=(package / "py.typed").as_posix())
    sys.stdout.buffer.write(response.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
