//! The shop that all subjects are in front of, behind the transcoder.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{Extensions, HeaderMap};
use tonic::Status;
use tonic::metadata::MetadataMap;
use transcode::MethodSpec;
use transcode::idempotency::Answers;
use transcode::policy::{BoxStream, Policy};
use transcode::rest::{Settings, Transcoder};
use transcode_tests::pb::shop::v1::ShopStack;
pub(super) use transcode_tests::shop::{Shelves, item, items};

/// The item of a create.
pub(super) fn json() -> Bytes {
    static JSON: LazyLock<Bytes> = LazyLock::new(|| {
        Bytes::from(serde_json::to_vec(&item("item_01hm6xkqz0e8s8a3kq5w2v9t4c")).unwrap())
    });
    JSON.clone()
}

/// Lets everybody in, as the shop by hand does.
pub(super) struct Open;

impl Policy for Open {
    type Admission = ();

    async fn admit(
        &self,
        _: &'static MethodSpec,
        _: &MetadataMap,
        _: &mut Extensions,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn run<T: Send>(
        &self,
        _: &'static MethodSpec,
        (): (),
        call: impl Future<Output = Result<T, Status>> + Send,
    ) -> Result<T, Status> {
        call.await
    }

    fn answers(&self, _: &'static MethodSpec, _: &Extensions) -> Option<(&dyn Answers, String)> {
        None
    }

    fn annotate(&self, _: &'static MethodSpec, (): &(), _: &mut HeaderMap) {}

    fn stream<T: Send + 'static>(
        &self,
        _: &'static MethodSpec,
        (): (),
        messages: BoxStream<T>,
    ) -> BoxStream<T> {
        messages
    }
}

pub(super) fn stack() -> ShopStack<Shelves, Open> {
    ShopStack::new(Arc::new(Shelves), Arc::new(Open))
}

pub(super) fn transcoder() -> Transcoder {
    let service = Box::new(stack()) as Box<dyn transcode::rest::Service>;
    Transcoder::new(Settings::default(), [service])
}
