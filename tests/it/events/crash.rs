//! Nothing that is killed loses an event: writes through both protocols, two replicas on one database, a broker that
//! keeps what it took; and all of them are killed at random meanwhile.
//!
//! `CATALOG_CRASH_WRITES=10000 cargo test --test it -- crash --nocapture` makes it as long as one likes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog_service::pb::catalog::v1 as pb;
use catalog_service::pb::catalog::v1::catalog_service_client::CatalogServiceClient;
use catalog_service::store::PgOutbox;
use catalog_service::store::postgres::{PoolSettings, pool};
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

use crate::support::redis::{Server, eventually, installed};
use crate::support::service::{Service, authorized};

const PRODUCTS: &str = "/v1/catalog/products";
const TOPICS: [&str; 3] = [
    "catalog.product.created",
    "catalog.product.updated",
    "catalog.product.deleted",
];
/// How many write at a time.
const WRITERS: usize = 8;
/// How many writes must be acknowledged, unless `CATALOG_CRASH_WRITES` says so.
const WRITES: usize = 2000;
/// How often something must be killed.
const KILLS: usize = 8;
/// Longest wait of a writer for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A change that the service said it made.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Change {
    Created(String),
    /// With the new name, which no other change has.
    Renamed(String, String),
    Deleted(String),
}

/// What writers and killers share.
struct World {
    /// REST and gRPC of each replica, as they are now.
    addresses: Mutex<[(String, String); 2]>,
    token: String,
    writes: usize,
    acknowledged: AtomicUsize,
    killed_enough: AtomicBool,
}

impl World {
    fn goes_on(&self) -> bool {
        let enough = self.acknowledged.load(Ordering::Relaxed) >= self.writes;
        !(enough && self.killed_enough.load(Ordering::Relaxed))
    }
}

/// A caller of one of the protocols, who goes to the other replica when one fails.
struct Writer {
    world: Arc<World>,
    number: usize,
    by_grpc: bool,
    rest: Client<HttpConnector, Full<Bytes>>,
    channels: HashMap<String, Channel>,
    replica: usize,
    done: Vec<Change>,
}

impl Writer {
    fn new(world: Arc<World>, number: usize) -> Self {
        Self {
            world,
            number,
            by_grpc: number.is_multiple_of(2),
            rest: Client::builder(TokioExecutor::new()).build_http(),
            channels: HashMap::new(),
            replica: number / 2 % 2,
            done: Vec::new(),
        }
    }

    async fn run(mut self) -> Vec<Change> {
        let mut count = 0;
        while self.world.goes_on() {
            count += 1;
            let sku = format!("W{}-{count}", self.number);
            let Some(id) = self.create(&sku).await else {
                continue;
            };
            self.note(Change::Created(id.clone()));
            for version in 2..5 {
                let name = format!("{sku}-{version}");
                if self.rename(&id, &name).await {
                    self.note(Change::Renamed(id.clone(), name));
                }
            }
            if count % 3 == 0 && self.delete(&id).await {
                self.note(Change::Deleted(id));
            }
        }
        self.done
    }

    fn note(&mut self, change: Change) {
        self.done.push(change);
        self.world.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    fn address(&self) -> (String, String) {
        self.world.addresses.lock().unwrap()[self.replica].clone()
    }

    /// What a call came to; nothing when it is not known to have succeeded.
    async fn within<T>(&mut self, call: impl Future<Output = Option<T>>) -> Option<T> {
        let result = tokio::time::timeout(ANSWER, call).await.ok().flatten();
        if result.is_none() {
            self.replica = 1 - self.replica;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        result
    }

    async fn create(&mut self, sku: &str) -> Option<String> {
        if self.by_grpc {
            let request = pb::CreateProductRequest {
                sku: sku.to_owned(),
                name: "new".to_owned(),
                ..Default::default()
            };
            let (mut client, request) = (self.client(), self.request(request));
            let call = async move { client.create_product(request).await.ok() };
            let answer = self.within(call).await?.into_inner();
            Some(answer.product.unwrap().id)
        } else {
            let body = json!({"sku": sku, "name": "new"});
            let answer = self.send(Method::POST, PRODUCTS, &body).await?;
            Some(answer["data"]["product"]["id"].as_str().unwrap().to_owned())
        }
    }

    async fn rename(&mut self, id: &str, name: &str) -> bool {
        if self.by_grpc {
            let product = pb::Product {
                id: id.to_owned(),
                name: name.to_owned(),
                ..Default::default()
            };
            let request = pb::UpdateProductRequest {
                product: Some(product),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["name".to_owned()],
                }),
                ..Default::default()
            };
            let (mut client, request) = (self.client(), self.request(request));
            let call = async move { client.update_product(request).await.ok() };
            self.within(call).await.is_some()
        } else {
            let path = format!("{PRODUCTS}/{id}");
            let body = json!({"name": name});
            self.send(Method::PATCH, &path, &body).await.is_some()
        }
    }

    async fn delete(&mut self, id: &str) -> bool {
        if self.by_grpc {
            let request = pb::DeleteProductRequest {
                id: id.to_owned(),
                ..Default::default()
            };
            let (mut client, request) = (self.client(), self.request(request));
            let call = async move { client.delete_product(request).await.ok() };
            self.within(call).await.is_some()
        } else {
            let path = format!("{PRODUCTS}/{id}");
            self.send(Method::DELETE, &path, &Value::Null)
                .await
                .is_some()
        }
    }

    fn client(&mut self) -> CatalogServiceClient<Channel> {
        let (_, address) = self.address();
        let connect = || {
            Endpoint::from_shared(address.clone())
                .unwrap()
                .connect_lazy()
        };
        let channel = self.channels.entry(address.clone()).or_insert_with(connect);
        CatalogServiceClient::new(channel.clone())
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let token = format!("Bearer {}", self.world.token).parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        request
    }

    async fn send(&mut self, method: Method, path: &str, body: &Value) -> Option<Value> {
        let uri = format!("{}{path}", self.address().0);
        let request = authorized(method, &uri, &self.world.token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(if body.is_null() {
                String::new()
            } else {
                body.to_string()
            }))
            .unwrap();
        let answer = self.rest.request(request);
        self.within(async {
            let (parts, body) = answer.await.ok()?.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            let succeeded = matches!(
                parts.status,
                StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT
            );
            succeeded.then(|| serde_json::from_slice(&body).unwrap_or_default())
        })
        .await
    }
}

/// Numbers that look random, from a seed that is shown.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Kills replicas and the broker, and starts them again, as long as there is something to write.
fn kill_at_random(
    world: &World,
    mut replicas: [Service; 2],
    broker: &mut Server,
    variables: &[(&str, &str)],
) -> [Service; 2] {
    let seed: u64 = std::process::id().into();
    println!("seed {seed}");
    let mut dice = Dice(seed | 1 << 40);
    let mut kills = [0; 4];
    while world.goes_on() {
        std::thread::sleep(Duration::from_millis(50 + dice.throw(400)));
        // Each kind first, then any.
        let total: usize = kills.iter().sum();
        let what = if total < 4 {
            total
        } else {
            usize::try_from(dice.throw(4)).unwrap()
        };
        kills[what] += 1;
        match what {
            0 | 1 => {
                replicas[what].kill();
                std::thread::sleep(Duration::from_millis(dice.throw(200)));
                replicas = restarted(replicas, what, variables);
                world.addresses.lock().unwrap()[what] =
                    (replicas[what].http.clone(), replicas[what].grpc.clone());
            }
            2 => {
                broker.kill();
                std::thread::sleep(Duration::from_millis(dice.throw(1500)));
                broker.start_again();
            }
            _ => {
                broker.pause();
                std::thread::sleep(Duration::from_millis(dice.throw(1000)));
                broker.resume();
            }
        }
        world
            .killed_enough
            .store(total + 1 >= KILLS, Ordering::Relaxed);
    }
    println!(
        "killed: replicas {} and {}, broker {}, paused {}",
        kills[0], kills[1], kills[2], kills[3]
    );
    replicas
}

fn restarted(replicas: [Service; 2], which: usize, variables: &[(&str, &str)]) -> [Service; 2] {
    let [first, second] = replicas;
    if which == 0 {
        [first.restart(variables), second]
    } else {
        drop(second);
        let second = first.replica(variables);
        [first, second]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_every_acknowledged_change_has_its_event() {
    if !installed() {
        return;
    }
    let writes = std::env::var("CATALOG_CRASH_WRITES");
    let writes = writes.map_or(WRITES, |text| text.parse().expect("a number"));
    let mut broker = Server::start(&[("--appendonly", "yes"), ("--appendfsync", "always")]);
    let addr = broker.addr();
    let variables = [("AUTO_MIGRATE", "true"), ("REDIS_ADDR", addr.as_str())];
    let first = Service::start_with(&variables).await;
    first.ready().await;
    let second = first.replica(&variables);
    second.ready().await;

    let begun = Instant::now();
    let addresses = [&first, &second].map(|it| (it.http.clone(), it.grpc.clone()));
    let world = Arc::new(World {
        addresses: Mutex::new(addresses),
        token: first.token("catalog:read catalog:write"),
        writes,
        acknowledged: AtomicUsize::new(0),
        killed_enough: AtomicBool::new(false),
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(Writer::new(world.clone(), number).run()))
        .collect();
    let replicas = tokio::task::block_in_place(|| {
        kill_at_random(&world, [first, second], &mut broker, &variables)
    });
    let mut acknowledged = HashSet::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }

    let pool = pool(&replicas[0].database.url, &PoolSettings::default()).unwrap();
    let outbox = PgOutbox::new(pool.clone());
    eventually("all is published", async || {
        let backlog = outbox.backlog().await.unwrap();
        assert_eq!(backlog.parked, 0);
        backlog.oldest.is_none() && backlog.refused == 0
    })
    .await;
    let expected: Vec<String> = sqlx::query_scalar("SELECT payload->>'eventId' FROM outbox")
        .fetch_all(&pool)
        .await
        .unwrap();

    let mut published: HashMap<String, String> = HashMap::new();
    let mut duplicates = 0;
    let mut changes = HashSet::new();
    // Of each product the events by its versions.
    let mut products: HashMap<String, BTreeMap<i64, u64>> = HashMap::new();
    for topic in TOPICS {
        let mut last: HashMap<String, i64> = HashMap::new();
        let entries: Vec<(String, Vec<String>)> = broker.ask(&["XRANGE", topic, "-", "+"]).await;
        for (entry, fields) in entries {
            let taken = entry.split_once('-').unwrap().0.parse().unwrap();
            let envelope: Value = serde_json::from_str(&fields[1]).unwrap();
            let id = envelope["id"].as_str().unwrap().to_owned();
            assert_eq!(envelope["data"]["eventId"], *id);
            if let Some(before) = published.get(&id) {
                assert_eq!(*before, fields[1], "the same id, the same event");
                duplicates += 1;
                continue;
            }
            let data = &envelope["data"]["data"];
            let product = data["productId"].as_str().unwrap().to_owned();
            let version = data["productVersion"].as_i64().unwrap();
            let before = last.insert(product.clone(), version).unwrap_or_default();
            assert!(before < version, "{product}: {version} after {before}");
            let other = products
                .entry(product.clone())
                .or_default()
                .insert(version, taken);
            assert_eq!(other, None, "two events of one version");
            changes.insert(match topic {
                "catalog.product.created" => Change::Created(product),
                "catalog.product.updated" => {
                    let name = data["changes"]["name"]["new"].as_str().unwrap();
                    Change::Renamed(product, name.to_owned())
                }
                _ => Change::Deleted(product),
            });
            published.insert(id, fields[1].clone());
        }
    }
    let lost: Vec<_> = acknowledged.difference(&changes).collect();
    let some = &lost[..lost.len().min(5)];
    assert!(lost.is_empty(), "{} lost, such as {some:?}", lost.len());
    let expected: HashSet<_> = expected.into_iter().collect();
    let same =
        published.len() == expected.len() && published.keys().all(|id| expected.contains(id));
    assert!(
        same,
        "every change, acknowledged or not, has its event and nothing else has"
    );
    for (product, versions) in &products {
        // Without a gap, and in order also from stream to stream.
        let numbers: Vec<_> = versions.keys().copied().collect();
        assert_eq!(
            numbers,
            (1..).take(numbers.len()).collect::<Vec<_>>(),
            "{product}"
        );
        assert!(versions.values().is_sorted(), "{product}: {versions:?}");
    }
    println!(
        "{} acknowledged changes, {} events, {duplicates} duplicates, in {:.1} s",
        acknowledged.len(),
        published.len(),
        begun.elapsed().as_secs_f64()
    );
}
