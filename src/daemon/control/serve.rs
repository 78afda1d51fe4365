//! The serving side of the control socket.

use super::answer::line;
use super::ask::Ask;
use super::orders::Orders;
use super::refusal::Refusal;
use super::request::Request;
use super::request::What;
use crate::daemon::local_socket::LocalSocket;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Connections at the same time.
const CONNECTIONS_MAX: usize = 8;
/// The longest request, bytes.
const LINE_BYTES_MAX: usize = 8192;
/// A connection without a whole request for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// A reader that does not take its answer within this is left alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves connections for ever, each in a task of its own on the current thread. `orders` are taken where they can be kept.
pub async fn serve(socket: LocalSocket, asks: mpsc::Sender<Ask>, orders: Result<Rc<Orders>, String>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let mut stream = socket.accept().await;
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let (asks, orders) = (asks.clone(), orders.clone());
                tokio::task::spawn_local(async move {
                    converse(stream, &asks, &orders).await;
                    drop(place);
                });
            }
            Err(_) => {
                let why = format!("{CONNECTIONS_MAX} connections are open already: close one, or try again");
                let refusal = line(None, Err(Refusal::new("busy", why)));
                let _ = timeout(PATIENCE, stream.write_all(&refusal)).await;
            }
        }
    }
}

/// Answers requests until the other side ends, is slow, or writes what is no line.
async fn converse(stream: UnixStream, asks: &mpsc::Sender<Ask>, orders: &Result<Rc<Orders>, String>) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut request = Vec::new();
        let mut bounded = (&mut reading).take(LINE_BYTES_MAX as u64 + 1);
        let read = timeout(IDLE, bounded.read_until(b'\n', &mut request)).await;
        if !matches!(read, Ok(Ok(1..))) {
            return;
        }
        let is_too_long = request.len() > LINE_BYTES_MAX;
        let answer = if is_too_long {
            let why = format!("a request has at most {LINE_BYTES_MAX} bytes and ends with a line feed");
            line(None, Err(Refusal::new("too-long", why)))
        } else {
            match Request::read(&request) {
                Ok(Request { id, what: What::Order(order) }) => {
                    let taken = match orders {
                        Ok(orders) => orders.take(order).await,
                        Err(why) => Err(Refusal::new("no-orders", why.as_str())),
                    };
                    line(id, taken)
                }
                Ok(request) => match asked(request, asks).await {
                    Some(answer) => answer,
                    None => return,
                },
                Err((id, refusal)) => line(id, Err(refusal)),
            }
        };
        let is_written = matches!(timeout(PATIENCE, writing.write_all(&answer)).await, Ok(Ok(())));
        if !is_written || is_too_long {
            return;
        }
    }
}

/// What the driver answers; `None` while the daemon ends.
async fn asked(request: Request, asks: &mpsc::Sender<Ask>) -> Option<Vec<u8>> {
    let (tell, answer) = oneshot::channel();
    asks.send(Ask::Control(request, tell)).await.ok()?;
    answer.await.ok()
}
