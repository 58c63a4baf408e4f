//! Services that answer with what they got, for client libraries of others and for messages that are well-known types.

use std::sync::Arc;

use prost_types::{Any, Struct, Timestamp, Value};
use tokio_stream::iter;
use tonic::{Request, Response, Status};
use transcode::policy::BoxStream;

use crate::ByScope;
use crate::pb::compliance::v1::compliance_server::Compliance;
use crate::pb::compliance::v1::whole_server::Whole;
use crate::pb::compliance::v1::{
    self, ComplianceStack, DeleteSampleRequest, EchoRequest, EchoResponse, UpdateSampleRequest,
    UpdateSampleResponse, WholeStack,
};

/// Tells what came, and to which RPC.
pub struct Echo;

/// Both behind the policy of the library.
pub fn services() -> [Box<dyn transcode::rest::Service>; 2] {
    let (echo, policy) = (Arc::new(Echo), Arc::new(ByScope));
    [
        Box::new(ComplianceStack::new(echo.clone(), policy.clone())),
        Box::new(WholeStack::new(echo, policy)),
    ]
}

fn echo(request: Request<EchoRequest>, rpc: &str) -> Result<Response<EchoResponse>, Status> {
    Ok(Response::new(EchoResponse {
        request: Some(request.into_inner()),
        rpc: rpc.to_owned(),
    }))
}

#[tonic::async_trait]
impl Compliance for Echo {
    async fn echo_body(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        echo(request, "EchoBody")
    }

    async fn echo_field(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        echo(request, "EchoField")
    }

    async fn echo_query(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        echo(request, "EchoQuery")
    }

    async fn echo_path(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        echo(request, "EchoPath")
    }

    async fn echo_resource(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        echo(request, "EchoResource")
    }

    async fn echo_trailing(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        echo(request, "EchoTrailing")
    }

    async fn replace_sample(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<EchoResponse>, Status> {
        echo(request, "ReplaceSample")
    }

    async fn update_sample(
        &self,
        request: Request<UpdateSampleRequest>,
    ) -> Result<Response<UpdateSampleResponse>, Status> {
        Ok(Response::new(UpdateSampleResponse {
            request: Some(request.into_inner()),
            rpc: "UpdateSample".to_owned(),
        }))
    }

    async fn delete_sample(
        &self,
        request: Request<DeleteSampleRequest>,
    ) -> Result<Response<()>, Status> {
        let DeleteSampleRequest {
            name,
            allow_missing,
        } = request.into_inner();
        if name == "samples/missing" && !allow_missing {
            return Err(Status::not_found("No such sample"));
        }
        Ok(Response::new(()))
    }
}

#[tonic::async_trait]
impl Whole for Echo {
    async fn reflect_struct(&self, request: Request<Struct>) -> Result<Response<Struct>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn reflect_value(&self, request: Request<Value>) -> Result<Response<Value>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn reflect_any(&self, request: Request<Any>) -> Result<Response<Any>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn reflect_text(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn now(&self, _: Request<()>) -> Result<Response<Timestamp>, Status> {
        Ok(Response::new(Timestamp {
            seconds: 1_705_314_600,
            nanos: 0,
        }))
    }

    type CountStream = BoxStream<i64>;

    async fn count(&self, request: Request<i64>) -> Result<Response<Self::CountStream>, Status> {
        Ok(Response::new(Box::pin(iter(
            (1..=request.into_inner()).map(Ok),
        ))))
    }

    async fn reflect_names(
        &self,
        request: Request<v1::Option>,
    ) -> Result<Response<v1::Option>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
