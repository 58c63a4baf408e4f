//! A service whose requests are streams. It tells a test of each message as it reads it.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};
use transcode::policy::BoxStream;

use crate::pb::google::api::HttpBody;
use crate::pb::library::v1::intake_server::Intake;
use crate::pb::library::v1::{
    AddBookRequest, AddBooksResponse, AppraiseResponse, UploadScanRequest, UploadScanResponse,
};

/// Tells of the end of a handler, however it comes.
struct Leaving<'a>(&'a Watch);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.tell("gone".to_owned());
    }
}

/// What a handler tells and how fast it reads; a test puts it into the extensions of its request.
#[derive(Clone, Default)]
pub struct Watch {
    /// Hears of the call, as "called", of each message, and of the end of the handler, as "gone".
    pub seen: Option<mpsc::UnboundedSender<String>>,
    /// A permit for each message that is read.
    pub pace: Option<Arc<Semaphore>>,
}

impl Watch {
    fn of<T>(request: &Request<T>) -> Self {
        let watch = request.extensions().get::<Self>().cloned();
        let watch = watch.unwrap_or_default();
        watch.tell("called".to_owned());
        watch
    }

    fn tell(&self, what: String) {
        if let Some(seen) = &self.seen {
            // A test that has ended hears nothing.
            let _ = seen.send(what);
        }
    }

    async fn next<T>(&self, messages: &mut Streaming<T>) -> Result<Option<T>, Status> {
        if let Some(pace) = &self.pace {
            let permit = pace.acquire().await;
            permit.map_err(|_| Status::internal("closed"))?.forget();
        }
        messages.message().await
    }
}

/// Reads.
pub struct Reader;

#[tonic::async_trait]
impl Intake for Reader {
    async fn add_books(
        &self,
        request: Request<Streaming<AddBookRequest>>,
    ) -> Result<Response<AddBooksResponse>, Status> {
        let watch = Watch::of(&request);
        let _leaving = Leaving(&watch);
        let mut messages = request.into_inner();
        let mut answer = AddBooksResponse::default();
        while let Some(message) = watch.next(&mut messages).await? {
            let book = message.book.unwrap_or_default();
            watch.tell(book.title.clone());
            if book.title == "enough" {
                break;
            }
            if book.title == "forbidden" {
                return Err(Status::failed_precondition("Not that one"));
            }
            answer.shelf = message.shelf;
            let by = message.by;
            answer
                .added
                .push(format!("{} ({}) {by}", book.title, book.pages));
        }
        Ok(Response::new(answer))
    }

    async fn upload_scan(
        &self,
        request: Request<Streaming<UploadScanRequest>>,
    ) -> Result<Response<UploadScanResponse>, Status> {
        let watch = Watch::of(&request);
        let _leaving = Leaving(&watch);
        let mut messages = request.into_inner();
        let mut pieces = Vec::new();
        while let Some(message) = watch.next(&mut messages).await? {
            let content = message.content.unwrap_or_default();
            let piece = format!(
                "{} {} {} {}",
                message.name,
                content.content_type,
                content.data.len(),
                message.dpi
            );
            watch.tell(piece.clone());
            pieces.push(piece);
        }
        Ok(Response::new(UploadScanResponse { pieces }))
    }

    type AppraiseStream = BoxStream<AppraiseResponse>;

    async fn appraise(
        &self,
        request: Request<Streaming<AddBookRequest>>,
    ) -> Result<Response<Self::AppraiseStream>, Status> {
        let appraised = request.into_inner().map(|message| {
            let book = message?.book.unwrap_or_default();
            Ok(AppraiseResponse {
                title: book.title,
                worth: book.pages,
            })
        });
        Ok(Response::new(Box::pin(appraised)))
    }

    type CapitalizeStream = BoxStream<HttpBody>;

    async fn capitalize(
        &self,
        request: Request<Streaming<HttpBody>>,
    ) -> Result<Response<Self::CapitalizeStream>, Status> {
        let capitals = request.into_inner().map(|message| {
            let mut message = message?;
            message.data.make_ascii_uppercase();
            Ok(message)
        });
        Ok(Response::new(Box::pin(capitals)))
    }
}
