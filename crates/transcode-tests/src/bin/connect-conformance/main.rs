//! The server that the Connect conformance suite tests: its service on the engine, by Connect, gRPC and gRPC-Web.
//! `make connect-conformance` runs it.
//!
//! The suite says on the input what server it wants, and is told on the output where that is.

mod policy;
mod service;

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use prost::Message;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::service::Routes;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use transcode::rest::{Compression, Settings, Transcoder};
use transcode::{Lingering, OnePort, SendTrailers, connect};
use transcode_tests::pb::connectrpc::conformance::v1::conformance_service_server::ConformanceServiceServer;
use transcode_tests::pb::connectrpc::conformance::v1::{
    ConformanceServiceStack, ServerCompatRequest, ServerCompatResponse,
};

/// Longest message where the suite asks for no limit, in bytes.
const LONGEST: usize = 16 << 20;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let wanted = read()?;
    let limit = match usize::try_from(wanted.message_receive_limit)? {
        0 => LONGEST,
        limit => limit,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    write(&ServerCompatResponse {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr()?.port().into(),
        pem_cert: Vec::new(),
    })?;
    let service = service(limit);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(service);
            // A connection that breaks off is the suite's.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// All protocols on one port, with messages of at most so many bytes.
fn service(limit: usize) -> Lingering<OnePort<GrpcWebService<SendTrailers<Routes>>>> {
    use tower::Layer as _;
    let stack = ConformanceServiceStack::new(Arc::new(service::Service), Arc::new(policy::Timely));
    let settings = Settings {
        max_body_bytes: limit,
        connect: Some(connect::Options::default()),
        compression: Some(Compression { min_bytes: 0 }),
        ..Settings::default()
    };
    let server = ConformanceServiceServer::new(stack.clone())
        .max_decoding_message_size(limit)
        .accept_compressed(Gzip)
        .accept_compressed(Zstd)
        .send_compressed(Gzip)
        .send_compressed(Zstd);
    let grpc = SendTrailers(Routes::new(server).prepare());
    let transcoder = Transcoder::new(
        settings,
        [Box::new(stack) as Box<dyn transcode::rest::Service>],
    );
    let grpc = GrpcWebLayer::new().layer(grpc);
    Lingering(OnePort::new(transcoder, grpc))
}

/// Reads a message behind its length.
fn read() -> Result<ServerCompatRequest, Failure> {
    let mut input = std::io::stdin().lock();
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut message)?;
    Ok(ServerCompatRequest::decode(&*message)?)
}

/// Writes a message behind its length.
fn write(message: &ServerCompatResponse) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    let bytes = message.encode_to_vec();
    output.write_all(&u32::try_from(bytes.len())?.to_be_bytes())?;
    output.write_all(&bytes)?;
    Ok(output.flush()?)
}
