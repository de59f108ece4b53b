//! A wire between a node and its Redis, or any two, that a test can cut, silence or lengthen, while everybody else's stays whole.
//!
//! Cut, it ends every connection with a reset and refuses new ones. Silent, it swallows what is said without a word, as a
//! router that has lost its way: what was said comes out when it is healed, as TCP would repeat it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Duration, Instant, sleep_until};

use crate::Redis;

/// Pieces on their way in one direction.
const PIECES: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// As long as told.
    Open(Duration),
    Silent,
    /// What comes back is swallowed.
    Deaf,
    Cut,
}

/// One end is a port of its own, the other a server.
#[derive(Debug)]
pub struct Cut {
    at: SocketAddr,
    line: watch::Sender<Line>,
    /// Bound and never listening: keeps the port while nobody listens on it.
    _port: TcpSocket,
    serving: JoinHandle<()>,
}

impl Cut {
    /// A healthy wire to this Redis.
    pub fn before(redis: &Redis) -> Self {
        Self::to(redis.at())
    }

    /// A healthy wire to whoever listens there, now or later.
    pub fn to(end: SocketAddr) -> Self {
        let port = socket();
        port.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let at = port.local_addr().expect("a bound socket");
        let (line, watched) = watch::channel(Line::Open(Duration::ZERO));
        let serving = tokio::spawn(serve(at, end, watched));
        Self { at, line, _port: port, serving }
    }

    /// Its near end.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// What a node has to be told of a Redis.
    pub fn url(&self) -> String {
        format!("redis://{}", self.at)
    }

    /// Resets every connection and refuses new ones.
    pub fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    /// Swallows what is said in both directions.
    pub fn silence(&self) {
        self.line.send_replace(Line::Silent);
    }

    /// Swallows what comes back: everything is done, and nobody hears of it.
    pub fn deafen(&self) {
        self.line.send_replace(Line::Deaf);
    }

    /// Lets everything take this long in each direction.
    pub fn lengthen(&self, by: Duration) {
        self.line.send_replace(Line::Open(by));
    }

    /// Makes it whole, and as short as it was.
    pub fn heal(&self) {
        self.lengthen(Duration::ZERO);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a TCP socket");
    socket.set_reuseport(true).expect("a TCP socket");
    socket
}

fn listen(at: SocketAddr) -> TcpListener {
    let socket = socket();
    socket.bind(at).expect("the port that is kept for it");
    socket.listen(1_024).expect("a bound socket")
}

async fn serve(at: SocketAddr, end: SocketAddr, mut line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    while line.wait_for(|line| *line != Line::Cut).await.is_ok() {
        let listener = listen(at);
        loop {
            let node = tokio::select! {
                Ok((node, _)) = listener.accept() => node,
                _ = line.wait_for(|line| *line == Line::Cut) => break,
            };
            connections.spawn(carry(node, end, line.clone()));
        }
    }
}

/// One connection from its beginning to its end.
async fn carry(mut node: TcpStream, end: SocketAddr, mut line: watch::Receiver<Line>) {
    if let Ok(mut end) = TcpStream::connect(end).await {
        let _ = (node.set_nodelay(true), end.set_nodelay(true));
        let (from_node, to_node) = node.split();
        let (from_end, to_end) = end.split();
        let (there, back) = (line.clone(), line.clone());
        let both = async {
            tokio::join!(pump(from_node, to_end, there, false), pump(from_end, to_node, back, true))
        };
        tokio::select! {
            _ = both => return,
            _ = line.wait_for(|line| *line == Line::Cut) => {}
        }
        let _ = end.set_zero_linger();
    }
    let _ = node.set_zero_linger();
}

async fn pump(from: ReadHalf<'_>, to: WriteHalf<'_>, line: watch::Receiver<Line>, is_back: bool) {
    let (queue, queued) = mpsc::channel(PIECES);
    tokio::join!(take(from, queue, line.clone()), give(to, queued, line, is_back));
}

async fn take(mut from: ReadHalf<'_>, queue: mpsc::Sender<(Instant, Vec<u8>)>, line: watch::Receiver<Line>) {
    let mut piece = vec![0; 16 * 1_024];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let delay = match *line.borrow() {
            Line::Open(delay) => delay,
            Line::Silent | Line::Deaf | Line::Cut => Duration::ZERO,
        };
        if queue.send((Instant::now() + delay, piece[..read].to_vec())).await.is_err() {
            return;
        }
    }
}

async fn give(
    mut to: WriteHalf<'_>,
    mut queued: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut line: watch::Receiver<Line>,
    is_back: bool,
) {
    let spoken = |line: &Line| *line != Line::Silent && !(is_back && *line == Line::Deaf);
    while let Some((due, piece)) = queued.recv().await {
        sleep_until(due).await;
        if line.wait_for(spoken).await.is_err() || to.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _ = line.wait_for(spoken).await;
    let _ = to.shutdown().await;
}
