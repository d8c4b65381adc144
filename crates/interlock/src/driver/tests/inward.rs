//! Where a connector may not have us connect to: whatever its names and redirects say.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::driver::http_client::{Answer, HttpClient, HttpFailure, Names, Reach};

const TIMEOUT_MS: u32 = 10_000;

/// A server that answers every request alike and closes; how many connections it has accepted.
async fn server(answer: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, accepted)
}

fn taken() -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into()
}

/// A client whose names lead to one address after the other, each time they are asked.
fn client(answers: &[&str], allow_loopback: bool) -> (HttpClient, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let addresses = answers.iter().map(|text| text.parse().unwrap());
    let left: Mutex<VecDeque<IpAddr>> = Mutex::new(addresses.collect());
    let names = Names::Scripted(Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        left.lock().unwrap().pop_front().into_iter().collect()
    }));
    let reach = Reach::Webhook { allow_loopback };
    (HttpClient::with_names(None, reach, names), asked)
}

async fn post(client: &HttpClient, url: &str) -> Result<Answer, HttpFailure> {
    let request = http::Request::builder().method("POST").uri(url);
    let request = request.body(Full::new(Bytes::from_static(b"{}"))).unwrap();
    client.send(request, TIMEOUT_MS, 1_024).await
}

fn is_inward(outcome: &Result<Answer, HttpFailure>) -> bool {
    matches!(outcome, Err(HttpFailure::Unreachable(why)) if why.contains("lies inward"))
}

#[tokio::test]
async fn a_name_that_leads_inward_is_not_connected_to() {
    let (inside, accepted) = server(taken()).await;
    for address in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "100.100.100.200",
        "fe80::1",
        "fd00:ec2::254",
    ] {
        let (client, _) = client(&[address], false);
        let url = format!("https://connector.example:{}/in", inside.port());
        let outcome = post(&client, &url).await;
        assert!(is_inward(&outcome), "{address}");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_is_judged_by_the_answer_that_is_used() {
    let (outside, accepted) = server(taken()).await;
    let answers = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "127.0.0.1"];
    let (client, asked) = client(&answers, true);
    let url = format!("http://connector.example:{}/in", outside.port());
    let tls = format!("https://connector.example:{}/in", outside.port());
    assert_eq!(post(&client, &url).await.unwrap().status, 200);
    for _ in 0..2 {
        assert!(is_inward(&post(&client, &tls).await));
    }
    // One question a connection: there is no time between the check and the use.
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(post(&client, &url).await.unwrap().status, 200);
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (inside, accepted) = server(taken()).await;
    for status in [301, 302, 303, 307, 308] {
        let head = format!("HTTP/1.1 {status} x\r\nLocation: http://{inside}/latest/meta-data\r\n");
        let (outside, _) = server(format!(
            "{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
        ))
        .await;
        let (client, _) = client(&["127.0.0.1"], true);
        let url = format!("http://connector.example:{}/in", outside.port());
        assert_eq!(post(&client, &url).await.unwrap().status, status);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 0);
}
