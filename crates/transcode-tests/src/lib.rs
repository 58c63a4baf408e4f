//! A library of books behind the transcoder, with nothing of any catalog.
//!
//! The service echoes what it got, so that tests see what was bound; its streams are those that a test brings along.

/// What is generated from the contract.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pb.rs"));
}

pub mod compliance;
pub mod files;
pub mod intake;
pub mod press;
pub mod routes;
pub mod shop;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};
use transcode::idempotency::Answers;
use transcode::policy::{BoxStream, Policy};
use transcode::rest::{Settings, Transcoder};
use transcode::status::status;
use transcode::{MethodSpec, Rendered};

use pb::library::v1::library_server::Library;
use pb::library::v1::{
    Book, DescribeShelfRequest, EchoRequest, FilesStack, GetBookRequest, IntakeStack, LibraryStack,
    ListBooksRequest, ListBooksResponse, PressStack, Shelf, UpdateBookRequest, WatchBooksRequest,
    WatchBooksResponse, list_books_response,
};
use pb::shop::v1::ShopStack;
use shop::Shelves;

/// The API description.
pub const OPENAPI_JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// Answers a watch; a test puts it into the extensions of its request.
#[derive(Clone)]
pub struct Watch(
    pub  Arc<
        dyn Fn(WatchBooksRequest) -> Result<BoxStream<WatchBooksResponse>, Status> + Send + Sync,
    >,
);

/// Lends a book and says how often that was; a test puts it into the extensions of its request.
#[derive(Clone)]
pub struct Lend(pub Arc<LendFn>);

/// What lending a book does.
pub type LendFn = dyn Fn(&Request<GetBookRequest>) -> Result<i32, Status> + Send + Sync;

/// Echoes.
pub struct Echo;

#[tonic::async_trait]
impl Library for Echo {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoRequest>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn get_book(&self, request: Request<GetBookRequest>) -> Result<Response<Book>, Status> {
        let mut result = match request.into_inner().name {
            name if name.ends_with("/missing") => Err(Status::not_found("No such book")),
            name => Ok(Response::new(Book {
                name,
                ..Book::default()
            })),
        };
        let metadata = match &mut result {
            Ok(answer) => answer.metadata_mut(),
            Err(status) => status.metadata_mut(),
        };
        for (name, value) in [
            ("x-shelf", "oak"),
            // These are not for a handler to say over HTTP.
            ("content-length", "7"),
            ("grpc-shelf", "oak"),
        ] {
            metadata.insert(name, MetadataValue::from_static(value));
        }
        metadata.insert_bin("x-shelf-bin", MetadataValue::from_bytes(b"oak"));
        result
    }

    async fn list_books(
        &self,
        request: Request<ListBooksRequest>,
    ) -> Result<Response<ListBooksResponse>, Status> {
        let request = request.into_inner();
        // As many pages as the query says, and a token that has to be escaped until the last one.
        let count = request.query.parse().unwrap_or_default();
        let next_page_token = match request.page_token.as_deref() {
            Some("last") => String::new(),
            _ => "a/b=+&>".to_owned(),
        };
        Ok(Response::new(ListBooksResponse {
            pages: Some(list_books_response::Pages { count }),
            next_page_token,
        }))
    }

    async fn list_authors(
        &self,
        request: Request<ListBooksRequest>,
    ) -> Result<Response<ListBooksResponse>, Status> {
        self.list_books(request).await
    }

    async fn describe_shelf(
        &self,
        request: Request<DescribeShelfRequest>,
    ) -> Result<Response<Shelf>, Status> {
        let asked = request.get_ref();
        let lines = usize::try_from(asked.lines).unwrap_or_default();
        let shelf = Rendered::new(Shelf {
            name: asked.name.clone(),
            etag: "3.17".to_owned(),
            expected: asked.expected.clone(),
            text: asked.line.repeat(lines),
        });
        Ok(shelf.answer(&request))
    }

    async fn lend_book(&self, request: Request<GetBookRequest>) -> Result<Response<Book>, Status> {
        let loans = match request.extensions().get::<Lend>() {
            Some(lend) => (lend.0)(&request)?,
            None => 1,
        };
        let book = Rendered::new(Book {
            name: request.get_ref().name.clone(),
            loans,
            ..Book::default()
        });
        Ok(book.answer(&request))
    }

    async fn update_book(
        &self,
        request: Request<UpdateBookRequest>,
    ) -> Result<Response<UpdateBookRequest>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    type WatchBooksStream = BoxStream<WatchBooksResponse>;

    async fn watch_books(
        &self,
        request: Request<WatchBooksRequest>,
    ) -> Result<Response<Self::WatchBooksStream>, Status> {
        let watch = request.extensions().get::<Watch>().cloned();
        let watch = watch.ok_or_else(|| Status::not_found("No such shelf"))?;
        watch.0(request.into_inner()).map(Response::new)
    }

    type CountLoansStream = BoxStream<Book>;

    async fn count_loans(
        &self,
        _: Request<GetBookRequest>,
    ) -> Result<Response<Self::CountLoansStream>, Status> {
        Err(Status::unimplemented("Nobody counts"))
    }
}

/// Lets in callers whose authorization is the scope an RPC asks for, with `Bearer` before it or without.
pub struct ByScope;

impl Policy for ByScope {
    type Admission = ();

    async fn admit(
        &self,
        spec: &'static MethodSpec,
        metadata: &MetadataMap,
        _: &mut http::Extensions,
    ) -> Result<(), Status> {
        let given = metadata
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .map(|text| text.strip_prefix("Bearer ").unwrap_or(text));
        match given {
            _ if spec.public => Ok(()),
            Some(given) if spec.scopes.contains(&given) => Ok(()),
            Some(_) => Err(status(
                spec.reasons,
                Code::PermissionDenied,
                "Not with that scope",
            )),
            None => Err(status(spec.reasons, Code::Unauthenticated, "Who are you?")),
        }
    }

    async fn run<T: Send>(
        &self,
        _: &'static MethodSpec,
        (): (),
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        call.await
    }

    fn answers(
        &self,
        _: &'static MethodSpec,
        _: &http::Extensions,
    ) -> Option<(&dyn Answers, String)> {
        None
    }

    fn annotate(&self, spec: &'static MethodSpec, (): &(), headers: &mut http::HeaderMap) {
        headers.insert("x-admitted", http::HeaderValue::from_static(spec.name));
    }

    fn stream<T: Send + 'static>(
        &self,
        _: &'static MethodSpec,
        (): (),
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        messages
    }
}

/// The stack that all protocols call.
pub fn stack() -> LibraryStack<Echo, ByScope> {
    LibraryStack::new(Arc::new(Echo), Arc::new(ByScope))
}

/// The files behind the same policy.
pub fn files() -> FilesStack<files::Told, ByScope> {
    FilesStack::new(Arc::new(files::Told), Arc::new(ByScope))
}

/// The intake behind the same policy.
pub fn intake() -> IntakeStack<intake::Reader, ByScope> {
    IntakeStack::new(Arc::new(intake::Reader), Arc::new(ByScope))
}

/// The press behind the same policy.
pub fn press() -> PressStack<press::Proofs, ByScope> {
    PressStack::new(Arc::new(press::Proofs), Arc::new(ByScope))
}

/// All of them and the shop over REST, at a time that does not pass.
pub fn transcoder() -> Transcoder {
    transcoder_with(Settings::default().heartbeat)
}

/// As [`transcoder`], with signs of life of silent streams after some time.
pub fn transcoder_with(heartbeat: Duration) -> Transcoder {
    transcoder_of(Settings {
        heartbeat,
        ..settings()
    })
}

/// Those of [`transcoder`].
pub fn settings() -> Settings {
    Settings {
        clock: || SystemTime::UNIX_EPOCH + Duration::from_mins(28_421_910),
        max_body_bytes: 4096,
        ..Settings::default()
    }
}

/// As [`transcoder`], with other settings.
pub fn transcoder_of(settings: Settings) -> Transcoder {
    let shop = ShopStack::new(Arc::new(Shelves), Arc::new(ByScope));
    let library: [Box<dyn transcode::rest::Service>; 5] = [
        Box::new(stack()),
        Box::new(files()),
        Box::new(intake()),
        Box::new(press()),
        Box::new(shop),
    ];
    let services = library.into_iter().chain(compliance::services());
    Transcoder::new(settings, services)
}
