//! Two instances under load, while Redis forgets, stops, dies and throws out its clients.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;

/// The versions that were answered for, per product, with the time of the answer.
type Known = Mutex<HashMap<ProductId, (i32, Instant)>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_never_stale_whatever_redis_does() {
    if !installed() {
        return;
    }
    let (_database, pool) = migrated().await;
    let mut redis = Server::start(&[]);
    let instances = [
        Arc::new(Instance::start(&pool, Some(&redis.addr()))),
        Arc::new(Instance::start(&pool, Some(&redis.addr()))),
    ];
    let known: Arc<Known> = Arc::default();
    let mut ids = Vec::new();
    for number in 0..20 {
        let create = instances[0]
            .catalog
            .create(cause(), new(&format!("P{number}")));
        let product = create.await.unwrap();
        known
            .lock()
            .unwrap()
            .insert(product.id, (1, Instant::now()));
        ids.push(product.id);
    }
    for instance in &instances {
        instance.warm(ids[0]).await;
    }

    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for (number, instance) in instances.iter().enumerate() {
        // Each instance writes its own half, and reads it and the other's.
        let own: Vec<_> = ids.iter().copied().skip(number).step_by(2).collect();
        for part in own.chunks(5) {
            tasks.push(tokio::spawn(write(
                instance.clone(),
                part.to_vec(),
                known.clone(),
                over.clone(),
            )));
        }
        for _ in 0..2 {
            tasks.push(tokio::spawn(read(
                instance.clone(),
                ids.clone(),
                known.clone(),
                over.clone(),
            )));
        }
    }
    let pause = async || tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..2 {
        pause().await;
        redis.ask::<()>(&["FLUSHALL"]).await;
        pause().await;
        redis
            .ask::<()>(&["CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "yes"])
            .await;
        pause().await;
        redis.pause();
        pause().await;
        redis.resume();
        pause().await;
        redis.kill();
        pause().await;
        redis.start_again();
    }
    pause().await;
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let known = known.lock().unwrap().clone();
    for instance in &instances {
        for (id, (version, _)) in &known {
            eventually("the last version is seen", async || {
                instance
                    .read(*id)
                    .await
                    .is_some_and(|product| product.version == *version)
            })
            .await;
        }
        let local = &instance.statistics.local.products;
        assert!(local.hits() > 0, "it is a cache that was tested");
    }
}

/// Changes products again and again; what it wrote it reads at once.
async fn write(
    instance: Arc<Instance>,
    ids: Vec<ProductId>,
    known: Arc<Known>,
    over: Arc<AtomicBool>,
) {
    for round in 0.. {
        for id in &ids {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let version = instance.rename(*id, &format!("name {round}")).await.version;
            known.lock().unwrap().insert(*id, (version, Instant::now()));
            let read = instance.read(*id).await.unwrap().version;
            assert!(read >= version, "{read} after {version}");
            let listed = instance.list(&query(None)).await;
            let listed = listed.items.iter().find(|item| item.id == *id);
            assert_eq!(listed.unwrap().name.as_str(), format!("name {round}"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Reads products again and again: no version is older than one before, nor than one that is known for long.
async fn read(
    instance: Arc<Instance>,
    ids: Vec<ProductId>,
    known: Arc<Known>,
    over: Arc<AtomicBool>,
) {
    let mut seen: HashMap<ProductId, i32> = HashMap::new();
    while !over.load(Ordering::Relaxed) {
        for id in &ids {
            let (version, since) = known.lock().unwrap()[id];
            let begun = Instant::now();
            let read = instance.read(*id).await.unwrap().version;
            let before = seen.insert(*id, read).unwrap_or_default();
            assert!(read >= before, "{read} after {before}");
            let known_for = begun.duration_since(since);
            assert!(
                read >= version || known_for < SOON,
                "{read} though {version} is known for {known_for:?}"
            );
        }
        tokio::task::yield_now().await;
    }
}
