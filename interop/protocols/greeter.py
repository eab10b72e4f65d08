"""A greeter on Google's grpcio, with code made by protoc: it gives back what it got."""

import os
from concurrent.futures import ThreadPoolExecutor

import greet_pb2
import greet_pb2_grpc
import grpc


class Greeter(greet_pb2_grpc.GreeterServicer):
    def Greet(self, request, context):
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != f"Bearer {os.environ['BEARER']}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        if context.time_remaining() > 11:
            context.abort(grpc.StatusCode.INTERNAL, "there is no deadline")
        return greet_pb2.Reply(text=f"Hello, {request.name}", echo=request)

    def Count(self, request, context):
        for number in range(request.times):
            yield greet_pb2.Reply(text=str(number))

    def Fail(self, request, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "canary-detail")


server = grpc.server(ThreadPoolExecutor(4))
greet_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
