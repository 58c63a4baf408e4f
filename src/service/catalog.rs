//! `catalog.v1.CatalogService`.

use futures_util::StreamExt as _;
use tonic::{Request, Response, Status};
use transcode::Rendered;
use transcode::policy::BoxStream;

use super::cause::cause;
use super::error::{ended, search_is_off, status};
use super::once::receipt;
use super::{convert, watch};
use crate::domain::ProductId;
use crate::domain::catalog::Catalog;
use crate::domain::etag::Precondition;
use crate::domain::event::Cause;
use crate::domain::inventory::Inventory;
use crate::domain::ports::{Environment, InventoryStore, ProductSearch, ProductStore};
use crate::domain::product::Product;
use crate::events;
use crate::events::feed::Feed;
use crate::pb::catalog::v1 as pb;
use crate::pb::catalog::v1::catalog_service_server::CatalogService;
use crate::telemetry::request::RequestRecord;

/// The handlers of the catalog's RPCs. What they get was let in and keeps the rules of the contract already.
pub struct CatalogHandler<S, F, I, E> {
    catalog: Catalog<S, E>,
    search: Option<F>,
    inventory: Inventory<I, E>,
    feed: Feed,
    max_products: i32,
}

impl<S: ProductStore, F: ProductSearch, I: InventoryStore, E: Environment>
    CatalogHandler<S, F, I, E>
{
    /// Handlers over a catalog, what finds its products unless that is switched off, the inventory of its products and
    /// the feed of its changes; `max_products` is how many products a page may have, 1 to
    /// [`ListQuery::MAX_LIMIT`](crate::domain::ListQuery::MAX_LIMIT).
    pub const fn new(
        catalog: Catalog<S, E>,
        search: Option<F>,
        inventory: Inventory<I, E>,
        feed: Feed,
        max_products: i32,
    ) -> Self {
        Self {
            catalog,
            search,
            inventory,
            feed,
            max_products,
        }
    }
}

/// Notes, for the log, which product the request is about.
fn about(product: ProductId) {
    RequestRecord::about(ProductId::PREFIX, product.uuid());
}

#[tonic::async_trait]
impl<S: ProductStore, F: ProductSearch, I: InventoryStore, E: Environment> CatalogService
    for CatalogHandler<S, F, I, E>
{
    async fn list_products(
        &self,
        request: Request<pb::ListProductsRequest>,
    ) -> Result<Response<pb::ListProductsResponse>, Status> {
        let query = convert::list_query(request.get_ref(), self.max_products)
            .map_err(|error| status(&error))?;
        let page = self
            .catalog
            .list(&query)
            .await
            .map_err(|error| status(&error))?;
        let rendered = page.derived(|page| Rendered::new(convert::page(&query, page)));
        Ok(rendered.answer(&request))
    }

    async fn search_products(
        &self,
        request: Request<pb::SearchProductsRequest>,
    ) -> Result<Response<pb::SearchProductsResponse>, Status> {
        let search = self.search.as_ref().ok_or_else(search_is_off)?;
        let query = convert::search_query(request.get_ref(), self.max_products)
            .map_err(|error| status(&error))?;
        let page = search
            .search(&query)
            .await
            .map_err(|error| status(&error))?;
        Ok(Response::new(convert::matches(&query, &page)))
    }

    async fn get_product(
        &self,
        request: Request<pb::GetProductRequest>,
    ) -> Result<Response<pb::GetProductResponse>, Status> {
        let key = convert::product_key(request.get_ref()).map_err(|error| status(&error))?;
        let product = self
            .catalog
            .get(&key)
            .await
            .map_err(|error| status(&error))?;
        about(product.id);
        let rendered = product.derived(|product| {
            Rendered::new(pb::GetProductResponse {
                product: Some(convert::product(product)),
            })
        });
        Ok(rendered.answer(&request))
    }

    async fn create_product(
        &self,
        request: Request<pb::CreateProductRequest>,
    ) -> Result<Response<pb::CreateProductResponse>, Status> {
        let cause = Cause {
            receipt: receipt(&request, created),
            ..cause(&request)
        };
        let new = convert::new_product(request.into_inner()).map_err(|error| status(&error))?;
        let product = self
            .catalog
            .create(cause, new)
            .await
            .map_err(|error| status(&error))?;
        about(product.id);
        Ok(Response::new(created(&product)))
    }

    async fn update_product(
        &self,
        request: Request<pb::UpdateProductRequest>,
    ) -> Result<Response<pb::UpdateProductResponse>, Status> {
        let cause = Cause {
            receipt: receipt(&request, updated),
            ..cause(&request)
        };
        let (id, patch) = convert::patch(request.into_inner()).map_err(|error| status(&error))?;
        about(id);
        let product = self
            .catalog
            .update(cause, id, patch)
            .await
            .map_err(|error| status(&error))?;
        Ok(Response::new(updated(&product)))
    }

    async fn delete_product(
        &self,
        request: Request<pb::DeleteProductRequest>,
    ) -> Result<Response<pb::DeleteProductResponse>, Status> {
        let cause = Cause {
            receipt: receipt(&request, |_| pb::DeleteProductResponse {}),
            ..cause(&request)
        };
        let id =
            convert::product_id("id", &request.get_ref().id).map_err(|error| status(&error))?;
        about(id);
        let expected = Precondition::of(&request.get_ref().etag);
        self.catalog
            .delete_if(cause, id, &expected)
            .await
            .map_err(|error| status(&error))?;
        Ok(Response::new(pb::DeleteProductResponse {}))
    }

    type WatchProductsStream = BoxStream<pb::WatchProductsResponse>;

    async fn watch_products(
        &self,
        request: Request<pb::WatchProductsRequest>,
    ) -> Result<Response<Self::WatchProductsStream>, Status> {
        let (filter, from) = watch::query(request.get_ref()).map_err(|error| status(&error))?;
        let notices = events::watch::watch(&self.feed, filter, from)
            .await
            .map_err(|error| ended(&error))?;
        let messages = notices.map(|notice| {
            let notice = notice.map_err(|error| ended(&error))?;
            watch::message(notice).map_err(|error| status(&error))
        });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn list_inventory(
        &self,
        request: Request<pb::ListInventoryRequest>,
    ) -> Result<Response<pb::ListInventoryResponse>, Status> {
        let id = convert::product_id("productId", &request.get_ref().product_id)
            .map_err(|error| status(&error))?;
        about(id);
        let stock = self
            .inventory
            .of(id)
            .await
            .map_err(|error| status(&error))?;
        Ok(Response::new(convert::product_stock(stock)))
    }
}

fn created(product: &Product) -> pb::CreateProductResponse {
    pb::CreateProductResponse {
        product: Some(convert::product(product)),
    }
}

fn updated(product: &Product) -> pb::UpdateProductResponse {
    pb::UpdateProductResponse {
        product: Some(convert::product(product)),
    }
}
