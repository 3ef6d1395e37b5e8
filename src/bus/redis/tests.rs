//! The link over a real Redis: what is sent arrives, each break is noticed, and no text has the password.
//! Does not decode batches.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::proxy::Proxy;
use super::test_server::TestServer;
use super::*;

/// How long to wait for what has to happen.
const SAFETY: Duration = Duration::from_mins(1);

async fn open(url: &str) -> Redis {
    Redis::open(url, "chat").await.expect("a link")
}

async fn refusal(url: &str) -> String {
    let opened = Redis::open(url, "chat").await;
    opened.err().expect("a refusal").to_string()
}

async fn next(link: &Redis) -> Received {
    let next = timeout(SAFETY, link.receive()).await;
    next.expect("a batch, or that the link was opened anew")
}

/// The next batch, which has to come without a break.
async fn batch(link: &Redis) -> Vec<u8> {
    match next(link).await {
        Received::Batch(batch) => batch,
        Received::Reopened => panic!("the link was opened anew"),
    }
}

/// Waits until it was opened anew.
async fn reopened(link: &Redis) {
    while let Received::Batch(_) = next(link).await {}
}

/// Sends until that succeeds, as the beats of a node do.
async fn send_at_last(link: &Redis, batch: &[u8]) {
    let sending = async {
        while link.send(batch.to_vec()).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SAFETY, sending).await.expect("sent");
}

/// Sends the batch again and again until it is received, whatever comes before it.
async fn works_at_last(link: &Redis, batch: &[u8]) {
    let sending = async {
        loop {
            send_at_last(link, batch).await;
            sleep(Duration::from_millis(50)).await;
        }
    };
    let receiving = async {
        while !matches!(link.receive().await, Received::Batch(received) if received == batch) {}
    };
    tokio::select! {
        received = timeout(SAFETY, receiving) => received.expect("received"),
        () = sending => {}
    }
}

#[tokio::test]
async fn every_node_receives_what_each_sends_in_order() {
    let server = TestServer::start(&[]);
    let nodes = [open(&server.url("")).await, open(&server.url("")).await];
    let batches = [
        vec![0, 255, 13, 10],
        Vec::new(),
        b"hello".to_vec(),
        vec![7; 3 << 20],
    ];
    for (index, sent) in batches.iter().cycle().take(40).enumerate() {
        let sender = &nodes[index % 2];
        sender.send(sent.clone()).await.expect("sent");
    }
    for node in &nodes {
        for expected in batches.iter().cycle().take(40) {
            assert_eq!(&batch(node).await, expected);
        }
        assert_eq!(node.window(10), Duration::ZERO);
    }
}

#[tokio::test]
async fn installations_with_other_databases_share_a_redis() {
    let server = TestServer::start(&[]);
    let ours = open(&server.url("")).await;
    let other = Redis::open(&server.url(""), "other").await.expect("a link");
    other.send(b"theirs".to_vec()).await.expect("sent");
    ours.send(b"ours".to_vec()).await.expect("sent");
    assert_eq!(batch(&ours).await, b"ours");
    assert_eq!(batch(&other).await, b"theirs");
}

#[tokio::test]
async fn a_redis_that_was_killed_is_used_again() {
    let mut server = TestServer::start(&[]);
    let (one, two) = (open(&server.url("")).await, open(&server.url("")).await);
    one.send(b"before".to_vec()).await.expect("sent");
    server.kill();
    let why = one.send(b"lost".to_vec()).await.expect_err("no server");
    let begins = format!("Redis at 127.0.0.1:{}: ", server.port());
    assert!(why.to_string().starts_with(&begins), "{why}");
    server.start_again();
    for node in [&one, &two] {
        assert_eq!(batch(node).await, b"before");
        assert!(matches!(next(node).await, Received::Reopened));
    }
    send_at_last(&one, b"after").await;
    for node in [&one, &two] {
        assert_eq!(batch(node).await, b"after");
    }
}

#[tokio::test]
async fn a_subscription_that_is_killed_is_opened_anew() {
    let server = TestServer::start(&[]);
    let (one, two) = (open(&server.url("")).await, open(&server.url("")).await);
    for round in 0..3 {
        let killed: u32 =
            { server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await }.expect("killed");
        assert_eq!(killed, 2);
        for node in [&one, &two] {
            assert!(matches!(next(node).await, Received::Reopened));
        }
        one.send(vec![round]).await.expect("another connection");
        for node in [&one, &two] {
            assert_eq!(batch(node).await, [round]);
        }
    }
}

#[tokio::test]
async fn a_redis_that_does_not_answer_fails_in_time_and_is_used_again() {
    let server = TestServer::start(&[]);
    let link = open(&server.url("")).await;
    link.send(b"before".to_vec()).await.expect("sent");
    let _: () = { server.command(&["CLIENT", "PAUSE", "6000"]).await }.expect("paused");
    let why = link.send(b"unsure".to_vec()).await.expect_err("a pause");
    assert!(
        why.to_string().ends_with(": no answer within 2 seconds"),
        "{why}"
    );
    works_at_last(&link, b"after").await;
}

#[tokio::test]
async fn half_open_connections_are_noticed() {
    let server = TestServer::start(&[]);
    let proxy = Proxy::start(server.port(), None);
    let link = open(&format!("redis://127.0.0.1:{}", proxy.port())).await;
    link.send(b"before".to_vec()).await.expect("sent");
    assert_eq!(batch(&link).await, b"before");
    proxy.freeze();
    let why = link.send(b"unsure".to_vec()).await.expect_err("half open");
    assert!(
        why.to_string().ends_with("no answer within 2 seconds"),
        "{why}"
    );
    reopened(&link).await;
    works_at_last(&link, b"after").await;
}

/// As after a failover: the subscription is one to the former server, where other nodes still publish.
#[tokio::test]
async fn a_node_that_does_not_hear_itself_opens_the_link_anew() {
    let (former, present) = (TestServer::start(&[]), TestServer::start(&[]));
    let proxy = Proxy::start(former.port(), None);
    let link = open(&format!("redis://127.0.0.1:{}", proxy.port())).await;
    let other = open(&former.url("")).await;
    link.send(b"before".to_vec()).await.expect("sent");
    assert_eq!(batch(&link).await, b"before");
    proxy.lead_to(present.port());
    let _: u32 = { former.command(&["CLIENT", "KILL", "TYPE", "normal"]).await }.expect("killed");
    send_at_last(&link, b"elsewhere").await;
    let others = async {
        loop {
            send_at_last(&other, b"other").await;
            sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = reopened(&link) => {}
        () = others => {}
    }
    send_at_last(&link, b"after").await;
    assert_eq!(batch(&link).await, b"after");
}

#[tokio::test]
async fn a_user_needs_two_commands_and_the_channels_and_select_for_a_number() {
    let rights = "resetchannels &polychat:* -@all +publish +subscribe";
    let users =
        format!("--user anna on >s3:cret/ {rights} --user boris on >s3cret {rights} +select");
    let server = TestServer::start(&users.split(' ').collect::<Vec<_>>());
    let link = open(&server.url("anna:s3%3Acret%2F@")).await;
    let numbered = open(&format!("{}/3", server.url("boris:s3cret@"))).await;
    numbered.send(b"hello".to_vec()).await.expect("sent");
    link.send(b"hello, too".to_vec()).await.expect("sent");
    for link in [&link, &numbered] {
        assert_eq!(batch(link).await, b"hello");
        assert_eq!(batch(link).await, b"hello, too");
    }
}

#[tokio::test]
async fn a_refusal_is_one_sentence_without_the_password() {
    let user = "--user anna on >s3cret resetchannels &other:* -@all +publish +subscribe";
    let server = TestServer::start(&user.split(' ').collect::<Vec<_>>());
    let place = format!("127.0.0.1:{}", server.port());
    let free = { TcpListener::bind("127.0.0.1:0").await }.expect("a port");
    let unused = free.local_addr().expect("an address").to_string();
    drop(free);
    let mut wrong = Vec::new();
    for (url, why) in [
        (format!("redis://anna:s3cret@{place}"), "no permissions"),
        (
            format!("redis://anna:s3cret2@{place}"),
            "user or password is wrong",
        ),
        (
            format!("redis://boris:s3cret@{place}"),
            "user or password is wrong",
        ),
        (
            format!("redis://:s3cret@{place}/99"),
            "user or password is wrong",
        ),
        (format!("redis://{place}/99"), "out of range"),
        (format!("redis://:s3cret@{unused}"), "onnection refused"),
        (format!("rediss://:s3cret@{place}"), "no answer"),
        (
            "redis://:s3cret@no.such.invalid".to_owned(),
            "no.such.invalid",
        ),
        ("redis://:s3cret@0.0.0.0".to_owned(), "wildcard"),
        ("oracle://:s3cret@h".to_owned(), "URL"),
        ("redis://:s3cret@h/x".to_owned(), "database number"),
    ] {
        let text = refusal(&url).await;
        if !text.contains(why) || text.contains("s3cret") || text.contains('\n') {
            wrong.push(format!("{url}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_password_that_the_server_repeats_is_not_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answering = TaskTracker::new().spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a connection");
        // To AUTH, twice CLIENT SETINFO, and SUBSCRIBE.
        let answer = b"-ERR unknown command, with args beginning with: `s3cret`, \r\n";
        let answers = [b"+OK\r\n", answer.repeat(3).as_slice()].concat();
        client.write_all(&answers).await.expect("sent");
        let mut rest = Vec::new();
        // The client may end the connection in any way.
        let _ = client.read_to_end(&mut rest).await;
    });
    let text = refusal(&format!("redis://:s3cret@{address}")).await;
    assert!(
        text.ends_with("an error that contains the password"),
        "{text}"
    );
    answering.await.expect("answered");
}

#[tokio::test]
async fn a_closed_link_has_no_connections() {
    let server = TestServer::start(&[]);
    let link = open(&server.url("")).await;
    link.send(b"last".to_vec()).await.expect("sent");
    assert_eq!(batch(&link).await, b"last");
    link.close().await;
    let why = link.send(b"later".to_vec()).await.expect_err("closed");
    assert_eq!(why.to_string(), "the link is closed");
    let closing = async {
        loop {
            let clients: String = { server.command(&["CLIENT", "LIST"]).await }.expect("a list");
            if clients.lines().count() == 1 {
                return;
            }
        }
    };
    timeout(SAFETY, closing).await.expect("no connections");
}

/// The authority that has signed the certificate of the tests.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bus/redis/testdata/ca.pem");

/// What names the certificates to trust instead of those of the system.
const TRUSTED: &str = "SSL_CERT_FILE";

fn with_tls(server: &TestServer) -> Proxy {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("testdata/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/server-private.pem"));
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"));
    let tls = TlsAcceptor::from(Arc::new(config.expect("a key of the certificate")));
    Proxy::start(server.port(), Some(tls))
}

/// In a process of its own, which trusts the authority of the tests.
#[tokio::test]
async fn tls_is_spoken_with_a_trusted_server() {
    if std::env::var_os(TRUSTED).is_none_or(|trusted| trusted != AUTHORITY) {
        let mut process = Command::new(std::env::current_exe().expect("this program"));
        process.args([
            "--exact",
            "bus::redis::tests::tls_is_spoken_with_a_trusted_server",
        ]);
        let output = { process.env(TRUSTED, AUTHORITY).output() }.expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    }
    let server = TestServer::start(&["--requirepass", "s3cret"]);
    let proxy = with_tls(&server);
    for host in ["localhost", "127.0.0.1"] {
        let link = open(&format!("rediss://:s3cret@{host}:{}", proxy.port())).await;
        link.send(b"hello".to_vec()).await.expect("sent");
        assert_eq!(batch(&link).await, b"hello");
    }
}

#[tokio::test]
async fn a_server_without_a_trusted_certificate_is_refused() {
    let server = TestServer::start(&[]);
    let proxy = with_tls(&server);
    let text = refusal(&format!("rediss://:s3cret@localhost:{}", proxy.port())).await;
    assert!(text.contains("certificate"), "{text}");
}
