//! TCP connections that make no progress in time.
//! Does not use any protocol on them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::limits::{LimitSettings, Proxies};

async fn pair() -> (GuardedStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).await.expect("a client");
    let limits = Limits::new(LimitSettings {
        messages: None,
        frames: None,
        connections_per_user: None,
        connections_per_address: None,
        unauthenticated: Some(1),
        handshake: Duration::from_secs(10),
        proxies: Proxies::default(),
    });
    let (guarded, _) = GuardedListener::new(listener, Arc::new(limits), Metrics::default())
        .accept()
        .await;
    (guarded, client)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_disconnected() {
    let (mut server, _client) = pair().await;
    let bytes = vec![0; 1 << 20];
    let mut written = Ok(());
    while written.is_ok() {
        written = server.write_all(&bytes).await;
    }
    assert_eq!(
        written.map_err(|error| error.kind()),
        Err(io::ErrorKind::TimedOut)
    );
}

#[tokio::test]
async fn after_reading_was_closed_writing_goes_on() {
    let (mut server, mut client) = pair().await;
    server.handle.close_read();
    let mut byte = [0];
    assert_eq!(server.read(&mut byte).await.expect("the end"), 0);
    server.write_all(b"x").await.expect("writing goes on");
    assert_eq!(client.read(&mut byte).await.expect("a byte"), 1);
}

/// The outcome of a read without input, and after how many seconds.
async fn silence(server: &mut GuardedStream) -> (io::ErrorKind, u64) {
    let began = Instant::now();
    let read = server.read(&mut [0]).await;
    (read.expect_err("an end").kind(), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_request_is_disconnected_after_the_handshake_timeout() {
    let (mut server, mut client) = pair().await;
    let dribble = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = client.write_all(b"x").await;
        }
    };
    let began = Instant::now();
    let read = async { while server.read(&mut [0]).await.is_ok() {} };
    tokio::select! {
        () = dribble => {}
        () = read => {}
    }
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_was_served_may_be_idle_for_longer() {
    let (mut server, mut client) = pair().await;
    let handle = server.handle.clone();
    let serving = handle.serve();
    let mut byte = [0];
    let reading = tokio::time::timeout(Duration::from_mins(10), server.read(&mut byte));
    assert!(
        reading.await.is_err(),
        "a request that is served is not idle"
    );
    handle.served();
    drop(serving);
    server.write_all(b"x").await.expect("room");
    client.read_exact(&mut [0]).await.expect("the answer");
    assert_eq!(silence(&mut server).await, (io::ErrorKind::TimedOut, 75));
}

#[tokio::test(start_paused = true)]
async fn who_was_admitted_may_be_silent_for_ever() {
    let (mut server, _client) = pair().await;
    let handle = server.handle.clone();
    handle.admit();
    let mut byte = [0];
    let reading = tokio::time::timeout(Duration::from_secs(100_000), server.read(&mut byte));
    assert!(reading.await.is_err());
    assert!(server.waiting.is_none());
    assert!(handle.0.slots.lock().unauthenticated.is_none());
}

#[tokio::test]
async fn what_a_connection_counted_for_ends_with_it() {
    let (server, _client) = pair().await;
    let handle = server.handle.clone();
    assert!(handle.0.slots.lock().unauthenticated.is_some());
    drop(server);
    assert!(handle.0.slots.lock().unauthenticated.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_written_prolongs_only_the_time_of_those_who_were_served() {
    for (flags, seconds) in [(0, 10), (SERVED, 175)] {
        let (server, mut client) = pair().await;
        server.handle.raise(flags);
        let (mut reader, mut writer) = tokio::io::split(server);
        let write = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = writer.write_all(b"x").await;
            }
            std::future::pending::<()>().await;
        };
        let mut taken = vec![0; 100];
        let take = async {
            let _ = client.read_exact(&mut taken).await;
            std::future::pending::<()>().await;
        };
        let began = Instant::now();
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_mins(10), reader.read(&mut byte));
        tokio::select! {
            read = read => assert!(read.expect("an end").is_err()),
            () = write => {}
            () = take => {}
        }
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

/// A task, as far as it can be woken.
struct Task;

impl std::task::Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test]
async fn a_task_that_has_written_is_not_kept() {
    let (mut server, _client) = pair().await;
    let task = Arc::new(Task);
    let waker = std::task::Waker::from(Arc::clone(&task));
    let written = Pin::new(&mut server).poll_write(&mut Context::from_waker(&waker), b"an answer");
    assert!(matches!(written, Poll::Ready(Ok(9))));
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 1);
}

#[tokio::test]
async fn a_task_that_has_read_is_not_kept_once_a_client_is_admitted() {
    let (mut server, _client) = pair().await;
    let task = Arc::new(Task);
    let waker = std::task::Waker::from(Arc::clone(&task));
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let read = Pin::new(&mut server).poll_read(&mut Context::from_waker(&waker), &mut buffer);
    assert!(read.is_pending());
    server.handle.admit();
    // The next one to read takes the place of the one before in the runtime, too.
    let noop = std::task::Waker::noop();
    let read = Pin::new(&mut server).poll_read(&mut Context::from_waker(noop), &mut buffer);
    assert!(read.is_pending());
    server.waiting = None;
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 1);
}
