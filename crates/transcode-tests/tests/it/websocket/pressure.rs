//! Who is slow, who is silent and who is gone.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use transcode::rest::WebSockets;

use super::wire::{CLOSE, FIN, PING, PONG, TEXT, Wire, frame};
use super::*;

fn told(pace: Option<Arc<Semaphore>>) -> (intake::Watch, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let seen = Some(sender);
    (intake::Watch { seen, pace }, receiver)
}

/// The next thing that is told.
async fn next(seen: &mut mpsc::UnboundedReceiver<String>) -> Option<String> {
    timeout(PATIENCE, seen.recv()).await.expect("in time")
}

/// Settings with short waits.
fn brief(heartbeat: u64, pong_timeout: u64) -> Settings {
    Settings {
        heartbeat: Duration::from_millis(heartbeat),
        websockets: Some(WebSockets {
            pong_timeout: Duration::from_millis(pong_timeout),
            ..WebSockets::default()
        }),
        ..settings()
    }
}

/// Waits until a number has not changed for a while. It may not go beyond `most`.
async fn settled(count: &AtomicUsize, most: usize) -> usize {
    loop {
        let before = count.load(Ordering::Relaxed);
        assert!(before <= most, "{before} and no end");
        sleep(Duration::from_millis(300)).await;
        if before == count.load(Ordering::Relaxed) {
            return before;
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_ends_the_handler() {
    let (watch, mut seen) = told(None);
    let mut client = Client::of(ADD, watch).await;
    client.text(r#"{"title": "a"}"#).await;
    assert_eq!(next(&mut seen).await.as_deref(), Some("called"));
    assert_eq!(next(&mut seen).await.as_deref(), Some("a"));
    drop(client);
    assert_eq!(next(&mut seen).await.as_deref(), Some("gone"));
    // And the stream of a handler that has answered.
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let watch = super::watch(move || {
        let receiver = receiver.lock().expect("a lock").take();
        Box::pin(UnboundedReceiverStream::new(receiver.expect("one call")))
    });
    let mut client = Client::of(WATCH, watch).await;
    sender.send(Ok(event("a"))).expect("a stream");
    assert_eq!(client.json().await["token"], "a");
    drop(client);
    timeout(PATIENCE, sender.closed()).await.expect("dropped");
}

#[tokio::test]
async fn a_slow_reader_slows_the_handler_down() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let endless = super::watch(move || {
        let counter = counter.clone();
        let events = std::iter::repeat_with(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(event(&"x".repeat(100_000)))
        });
        Box::pin(iter(events))
    });
    let mut client = Client::of(WATCH, endless).await;
    // Of 100 kB each, what the system holds of a connection, and one.
    let made = settled(&asked, 200).await;
    for _ in 0..2 * made {
        client.json().await;
    }
    assert!(asked.load(Ordering::Relaxed) > made);
    settled(&asked, 4 * made + 200).await;
}

#[tokio::test]
async fn nothing_piles_up_that_the_handler_does_not_ask_for() {
    let pace = Arc::new(Semaphore::new(0));
    let (watch, mut seen) = told(Some(pace.clone()));
    let address = serve(settings(), watch).await;
    let mut wire = Wire::connect(&address, ADD).await;
    assert_eq!(next(&mut seen).await.as_deref(), Some("called"));
    let padding = "x".repeat(4000);
    let message = frame(FIN | TEXT, format!(r#"{{"title":"{padding}"}}"#).as_bytes());
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let sending = tokio::spawn(async move {
        while wire.0.write_all(&message).await.is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Of 4 kB each, what the system holds of a connection.
    let stuck = settled(&sent, 5000).await;
    assert!(seen.try_recv().is_err());
    // As the handler reads, so does the caller send.
    pace.add_permits(2 * stuck);
    for _ in 0..2 * stuck {
        assert_eq!(next(&mut seen).await.map(|title| title.len()), Some(4000));
    }
    assert!(settled(&sent, 4 * stuck + 5000).await > stuck);
    assert!(seen.try_recv().is_err());
    sending.abort();
    let _ = sending.await;
    pace.add_permits(Semaphore::MAX_PERMITS / 2);
    while next(&mut seen).await.as_deref() != Some("gone") {}
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_dropped() {
    let (watch, mut seen) = told(None);
    let address = serve(brief(50, 200), watch).await;
    let mut wire = Wire::connect(&address, ADD).await;
    let begun = Instant::now();
    assert_eq!(next(&mut seen).await.as_deref(), Some("called"));
    // As long as it answers it stays.
    while begun.elapsed() < Duration::from_millis(800) {
        let (first, payload) = wire.read().await;
        assert_eq!(first, FIN | PING);
        wire.write(FIN | PONG, &payload).await;
    }
    assert!(seen.try_recv().is_err());
    let silent = Instant::now();
    assert_eq!(next(&mut seen).await.as_deref(), Some("gone"));
    let took = silent.elapsed();
    assert!(took >= Duration::from_millis(190), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_dropped() {
    let (guard, gone) = oneshot::channel::<()>();
    let guard = std::sync::Mutex::new(Some(guard));
    let endless = super::watch(move || {
        let guard = guard.lock().expect("a lock").take();
        Box::pin(iter(std::iter::repeat_with(move || {
            let _ = &guard;
            Ok(event(&"x".repeat(100_000)))
        })))
    });
    let address = serve(brief(100, 300), endless).await;
    let begun = Instant::now();
    let _wire = Wire::connect(&address, WATCH).await;
    let gone = timeout(PATIENCE, gone).await.expect("dropped");
    assert!(gone.is_err(), "without a word");
    assert!(begun.elapsed() >= Duration::from_millis(390));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_dropped_whatever_it_says() {
    let (guard, gone) = oneshot::channel::<()>();
    let guard = std::sync::Mutex::new(Some(guard));
    let endless = super::watch(move || {
        let guard = guard.lock().expect("a lock").take();
        Box::pin(iter(std::iter::repeat_with(move || {
            let _ = &guard;
            Ok(event(&"x".repeat(100_000)))
        })))
    });
    let address = serve(brief(100, 300), endless).await;
    let mut wire = Wire::connect(&address, WATCH).await;
    let says = async {
        // Until the connection is closed.
        while wire.0.write_all(&frame(FIN | PONG, b"")).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        gone = timeout(PATIENCE, gone) => assert!(gone.expect("dropped").is_err(), "without a word"),
        () = says => {}
    }
}

#[tokio::test]
async fn pings_of_a_peer_that_takes_no_answers_do_not_pile_up() {
    let (watch, _seen) = told(None);
    // It has all the time there is: what keeps the memory is that its pings are not read.
    let address = serve(brief(60_000, 60_000), watch).await;
    let mut wire = Wire::connect(&address, ADD).await;
    let pings = frame(FIN | PING, &[b'x'; 125]).repeat(1000);
    // The answers are as many bytes again: far more than the system keeps for the two of them.
    for _ in 0..500 {
        let sent = timeout(Duration::from_secs(1), wire.0.write_all(&pings)).await;
        if sent.is_err() {
            return;
        }
    }
    panic!("all were taken");
}

#[tokio::test]
async fn a_handler_does_not_wait_for_the_closing() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let watch = super::watch(move || {
        let receiver = receiver.lock().expect("a lock").take();
        Box::pin(UnboundedReceiverStream::new(receiver.expect("one call")))
    });
    let address = serve(settings(), watch).await;
    let mut wire = Wire::connect(&address, WATCH).await;
    sender.send(Ok(event("a"))).expect("a stream");
    assert_eq!(wire.read().await.0, FIN | TEXT);
    wire.write(FIN | TEXT, b"{}").await;
    assert_eq!(wire.closed().await.1, 1008);
    // The peer neither answers nor goes away.
    let begun = Instant::now();
    timeout(PATIENCE, sender.closed()).await.expect("dropped");
    assert!(begun.elapsed() < Duration::from_secs(2));
    // It has five seconds for it.
    wire.shut().await;
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_caller_is_not_taken_for_gone_while_it_is_not_listened_to() {
    let pace = Arc::new(Semaphore::new(0));
    let (watch, mut seen) = told(Some(pace.clone()));
    let address = serve(brief(100, 200), watch).await;
    let mut wire = Wire::connect(&address, ADD).await;
    assert_eq!(next(&mut seen).await.as_deref(), Some("called"));
    // The second waits behind the first, and all that the peer says behind it. They come at once, so that nothing is heard
    // when the second is taken up.
    let messages = [r#"{"title": "a"}"#, r#"{"title": "b"}"#];
    let frames = messages.map(|text| frame(FIN | TEXT, text.as_bytes()));
    wire.0.write_all(&frames.concat()).await.expect("sent");
    sleep(Duration::from_secs(1)).await;
    assert!(seen.try_recv().is_err(), "it is still there");
    pace.add_permits(2);
    assert_eq!(next(&mut seen).await.as_deref(), Some("a"));
    assert_eq!(next(&mut seen).await.as_deref(), Some("b"));
    // From here on it is, and has the time that any peer has.
    let begun = Instant::now();
    assert_eq!(next(&mut seen).await.as_deref(), Some("gone"));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(280), "{took:?}");
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let silent = super::watch(|| Box::pin(tokio_stream::pending()));
    let address = serve(brief(30, 5000), silent).await;
    let mut wire = Wire::connect(&address, WATCH).await;
    for _ in 0..3 {
        let (first, payload) = wire.read().await;
        assert_eq!(first, FIN | PING);
        wire.write(FIN | PONG, &payload).await;
    }
    wire.write(FIN | CLOSE, &1000_u16.to_be_bytes()).await;
    let (mut first, mut payload) = wire.read().await;
    while first == FIN | PING {
        (first, payload) = wire.read().await;
    }
    assert_eq!(
        (first, &*payload),
        (FIN | CLOSE, &1000_u16.to_be_bytes()[..])
    );
}
