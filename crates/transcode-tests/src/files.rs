//! What is in the books: a service whose bodies are bytes. What it answers is what a test brings along.

use std::sync::Arc;

use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status};
use transcode::policy::BoxStream;

use crate::pb::google::api::HttpBody;
use crate::pb::library::v1::files_server::Files;
use crate::pb::library::v1::{File, GetFileRequest, PutTextRequest};

/// What is in a book; a test puts it into the extensions of its request.
#[derive(Clone)]
pub struct Content(pub Arc<dyn Fn() -> Result<BoxStream<HttpBody>, Status> + Send + Sync>);

impl Content {
    /// Content that a test makes anew for each call.
    pub fn new(
        make: impl Fn() -> Result<BoxStream<HttpBody>, Status> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    fn of<T>(request: &Request<T>) -> Result<BoxStream<HttpBody>, Status> {
        let content = request.extensions().get::<Self>();
        content.map_or_else(
            || Err(Status::not_found("No such book")),
            |content| (content.0)(),
        )
    }
}

/// The first of some messages.
async fn first(mut messages: BoxStream<HttpBody>) -> Result<HttpBody, Status> {
    let next = messages.next().await;
    next.unwrap_or_else(|| Err(Status::internal("nothing")))
}

/// Answers what it is told.
pub struct Told;

#[tonic::async_trait]
impl Files for Told {
    async fn get_cover(
        &self,
        request: Request<GetFileRequest>,
    ) -> Result<Response<HttpBody>, Status> {
        let mut response = Response::new(first(Content::of(&request)?).await?);
        let disposition = "attachment".parse().map_err(|_| Status::internal(""))?;
        response
            .metadata_mut()
            .insert("content-disposition", disposition);
        Ok(response)
    }

    async fn get_text(&self, request: Request<GetFileRequest>) -> Result<Response<File>, Status> {
        let content = match Content::of(&request) {
            Ok(content) => Some(first(content).await?),
            Err(_) => None,
        };
        Ok(Response::new(File {
            name: request.into_inner().name,
            content,
            etag: "v1".to_owned(),
        }))
    }

    type ReadAloudStream = BoxStream<HttpBody>;

    async fn read_aloud(
        &self,
        request: Request<GetFileRequest>,
    ) -> Result<Response<Self::ReadAloudStream>, Status> {
        Content::of(&request).map(Response::new)
    }

    type ReadChaptersStream = BoxStream<File>;

    async fn read_chapters(
        &self,
        request: Request<GetFileRequest>,
    ) -> Result<Response<Self::ReadChaptersStream>, Status> {
        let chapter = |content: Result<HttpBody, Status>| {
            Ok(File {
                name: "chapter".to_owned(),
                content: Some(content?),
                etag: String::new(),
            })
        };
        let chapters = Content::of(&request)?.map(chapter);
        Ok(Response::new(Box::pin(chapters)))
    }

    async fn put_text(
        &self,
        request: Request<PutTextRequest>,
    ) -> Result<Response<PutTextRequest>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn scan(&self, request: Request<HttpBody>) -> Result<Response<File>, Status> {
        Ok(Response::new(File {
            name: "scan".to_owned(),
            content: Some(request.into_inner()),
            etag: String::new(),
        }))
    }
}
