//! The listener and its connections: few at a time, one request each, none for long.

use super::answer::answer;
use super::feed::Feed;
use super::feed::TICK;
use crate::daemon::control::Ask;
use crate::daemon::io_words::io_words;
use core::convert::Infallible;
use core::pin::pin;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// Connections at the same time: all streams, and some for pages and metrics. Others wait in the kernel without a descriptor.
const CONNECTIONS_MAX: usize = 24;
/// A request is there by then.
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// An answer that is no stream is read by then.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request at most.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// After a descriptor could not be had.
const REST: Duration = Duration::from_secs(1);

/// Serves `listen` from a thread of its own until the process ends. Where it cannot, the service goes on and says so.
pub fn start(listen: SocketAddr, asks: mpsc::Sender<Ask>) {
    let begun = TcpListener::bind(listen).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let listen = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            tokio::task::LocalSet::new().block_on(&runtime, serve(listener, Rc::new(Feed::new(asks))))
        };
        std::thread::Builder::new().name("web".to_owned()).spawn(work)?;
        Ok(listen)
    });
    match begun {
        Ok(listen) => tracing::info!("the page is at http://{listen}/"),
        Err(error) => tracing::warn!("no page at {listen}: {}", io_words(&error)),
    }
}

async fn serve(listener: TcpListener, feed: Rc<Feed>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!("no page: {}", io_words(&error)),
    };
    let fed = Rc::clone(&feed);
    tokio::task::spawn_local(async move { fed.run(TICK).await });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let feed = Rc::clone(&feed);
                tokio::task::spawn_local(async move {
                    connection(stream, &feed).await;
                    drop(place);
                });
            }
            // Somebody who went away before it was his turn, or no descriptors left.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// One request and its answer.
async fn connection(stream: TcpStream, feed: &Feed) {
    let (hold, dropped) = oneshot::channel();
    // As long as nobody took it, this is no stream.
    let hold = RefCell::new(Some(hold));
    let service = service_fn(|request: Request<Incoming>| {
        let hold = &hold;
        async move {
            let is_stream = request.uri().path() == "/events";
            let given = if is_stream { hold.borrow_mut().take() } else { None };
            let given = given.unwrap_or_else(|| oneshot::channel().0);
            Ok::<_, Infallible>(answer(&request, feed, given).await)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE).max_buf_size(REQUEST_BYTES_MAX);
    let connection = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut dropped = pin!(dropped);
    tokio::select! {
        _ = &mut connection => return,
        _ = &mut dropped => return,
        () = tokio::time::sleep(ANSWER_PATIENCE) => {}
    }
    if hold.borrow().is_none() {
        tokio::select! {
            _ = &mut connection => {}
            _ = &mut dropped => {}
        }
    }
}
