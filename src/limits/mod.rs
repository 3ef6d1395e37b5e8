//! The limits of one client: the rate of its requests, the number of its connections, and the log
//! lines about its refusals.
//! Does not know frames and sockets, nor the format of a refusal.

mod counts;
mod hosts;
mod origins;
mod proxies;
mod rates;
mod refusals;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use governor::clock::MonotonicClock;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::counts::Counts;
use self::refusals::{LeftOut, RefusalBudgets};
use crate::model::{Command, Error, ErrorKind, Identity, Rights, UserId};

pub use counts::Slot;
pub use hosts::Hosts;
pub use origins::{Origins, RefusedPages};
pub use proxies::Proxies;
pub use rates::{Gauge, Over, Payer, Rate, Verdict};

type Pace = rates::Pace<MonotonicClock>;

/// How often it is checked whether refusals are to be summed up.
const CHECK: Duration = Duration::from_secs(10);

/// With how many such checks the buckets of idle clients are removed once.
const CHECKS: u64 = 6;

/// How many rows of work cost one token of the limit of frames.
const ROWS: usize = 100;

/// The retry delay of a client with too many connections, in milliseconds. The end of one of them
/// cannot be predicted.
const UNTIL_ONE_ENDS_MS: u64 = 1000;

/// The limits set by the operator; `None`: unlimited.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// Messages sent, per user and per connection.
    pub messages: Option<Rate>,
    /// Frames of any kind and calls of the API, likewise.
    pub frames: Option<Rate>,
    /// Connections of one user.
    pub connections_per_user: Option<usize>,
    /// Connections from one address.
    pub connections_per_address: Option<usize>,
    /// TCP connections that are not authenticated yet.
    pub unauthenticated: Option<usize>,
    /// The time limit for the authentication.
    pub handshake: Duration,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub proxies: Proxies,
}

/// The limits, and how far each has been used.
pub struct Limits {
    messages: Option<Pace>,
    frames: Option<Pace>,
    users: Option<Arc<Counts<UserId>>>,
    connections: BySource,
    clients: BySource,
    proxies: Proxies,
    handshake: Duration,
    refusals: RefusalBudgets,
}

/// The number of connections, by source address.
struct BySource {
    addresses: Option<Arc<Counts<IpAddr>>>,
    unauthenticated: Option<Arc<Counts<()>>>,
}

/// The buckets of a connection, of both rates.
pub struct Gauges {
    messages: Option<Gauge>,
    frames: Option<Gauge>,
}

/// The slots that a client takes from its beginning.
#[derive(Debug, Default)]
pub struct ConnectionSlots {
    /// Among the connections that are not authenticated yet.
    pub unauthenticated: Option<Slot<()>>,
    /// Among those from its address.
    pub address: Option<Slot<IpAddr>>,
}

impl Limits {
    /// Limits of which nothing has been used.
    pub fn new(settings: LimitSettings) -> Self {
        let pace = |rate| Pace::new(rate, MonotonicClock);
        Self {
            messages: settings.messages.map(pace),
            frames: settings.frames.map(pace),
            users: settings.connections_per_user.map(Counts::new),
            connections: BySource::new(&settings),
            clients: BySource::new(&settings),
            proxies: settings.proxies,
            handshake: settings.handshake,
            refusals: RefusalBudgets::new(MonotonicClock),
        }
    }

    /// No limits at all.
    #[cfg(test)]
    pub fn off() -> Self {
        Self::new(LimitSettings {
            messages: None,
            frames: None,
            connections_per_user: None,
            connections_per_address: None,
            unauthenticated: None,
            handshake: Duration::from_secs(10),
            proxies: Proxies::default(),
        })
    }

    /// The gauges of a new connection.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            messages: self.messages.as_ref().map(Pace::gauge),
            frames: self.frames.as_ref().map(Pace::gauge),
        }
    }

    /// Whether the command may be begun, by the rate at which messages are sent. Nothing else
    /// is limited here, and a service is not: it sends for many.
    ///
    /// # Errors
    /// The user of the message, or the connection, is over its rate.
    pub fn message(
        &self,
        identity: &Identity,
        command: &Command,
        gauges: Option<&Gauges>,
    ) -> Result<(), Over> {
        let Some((pace, named)) = self.messages.as_ref().zip(command.sends_for()) else {
            return Ok(());
        };
        let sender = match identity.rights {
            Rights::Service => return Ok(()),
            // A request in the name of another user will be refused, and must not be charged to
            // that user.
            Rights::Own => identity.user,
            Rights::Open => named.or(identity.user),
        };
        let gauge = gauges.and_then(|gauges| gauges.messages.as_ref());
        pace.take(sender.map(Payer::User), gauge)
    }

    /// Whether one more frame, or call, is accepted.
    ///
    /// # Errors
    /// The payer, or the connection, is over its rate.
    pub fn frame(&self, payer: Option<Payer>, gauges: Option<&Gauges>) -> Result<(), Over> {
        let gauge = gauges.and_then(|gauges| gauges.frames.as_ref());
        let frames = self.frames.as_ref();
        frames.map_or(Ok(()), |pace| pace.take(payer, gauge))
    }

    /// Charges a request that was so many rows of work, beyond the one token of its frame: the frames
    /// after it wait until that is paid. A service is not charged: it works for many.
    pub fn charge(
        &self,
        identity: &Identity,
        payer: Option<Payer>,
        gauges: Option<&Gauges>,
        rows: usize,
    ) {
        if let Some(frames) = &self.frames
            && identity.rights != Rights::Service
        {
            let gauge = gauges.and_then(|gauges| gauges.frames.as_ref());
            frames.charge(payer, gauge, rows / ROWS);
        }
    }

    /// A slot for one more connection of this user, if they are counted.
    ///
    /// # Errors
    /// `RateLimited`: it has as many as it may.
    pub fn connection_of(&self, user: UserId) -> Result<Option<Slot<UserId>>, Error> {
        let Some(users) = &self.users else {
            return Ok(None);
        };
        let why = || too_many(&format!("{} connections of one user", users.most()));
        users.take(user).map(Some).ok_or_else(why)
    }

    /// A slot for one more TCP connection from this address, if they are counted: those of
    /// loopback addresses are not.
    ///
    /// # Errors
    /// `RateLimited`: there are as many as may be.
    pub fn connection_from(&self, address: IpAddr) -> Result<Option<Slot<IpAddr>>, Error> {
        self.connections.address(address)
    }

    /// The slots of a TCP connection that begins. A trusted proxy carries connections of other
    /// addresses, which are counted at the request with the forwarded address.
    ///
    /// # Errors
    /// As [`Limits::connection_from`], or too many are not authenticated.
    pub fn connection(&self, peer: IpAddr) -> Result<ConnectionSlots, Error> {
        let address = if self.proxies.trusts(peer) {
            None
        } else {
            self.connections.address(peer)?
        };
        let unauthenticated = self.connections.unauthenticated()?;
        Ok(ConnectionSlots {
            unauthenticated,
            address,
        })
    }

    /// A slot for one more client at this address: a raw WebSocket, or a session of Engine.IO.
    /// Clients are counted beside TCP connections, to which the same limits apply: a session
    /// that polls takes memory between its requests.
    ///
    /// # Errors
    /// As [`Limits::connection_from`].
    pub fn client(&self, address: IpAddr) -> Result<Option<Slot<IpAddr>>, Error> {
        self.clients.address(address)
    }

    /// The places of an Engine.IO session of the client at this address.
    ///
    /// # Errors
    /// As [`Limits::connection`].
    pub fn session(&self, client: IpAddr) -> Result<ConnectionSlots, Error> {
        Ok(ConnectionSlots {
            address: self.clients.address(client)?,
            unauthenticated: self.clients.unauthenticated()?,
        })
    }

    /// The forwarded address, if this peer is a trusted proxy.
    pub fn forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        self.proxies.client_of(peer, headers)
    }

    /// The address of the client: the forwarded one, or that of the peer.
    pub fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.forwarded(peer, headers).unwrap_or(peer)
    }

    /// Whether a refusal of the client at this address is to be logged: each address has a budget
    /// of lines. A refusal that is not is counted, and summed up within a minute.
    pub fn logs_refusal(&self, client: Option<IpAddr>) -> bool {
        self.refusals.take(client)
    }

    /// Logs how many refusals were not logged, at the end of the server.
    pub fn sum_up_refusals(&self) {
        log_left_out(&self.refusals.all());
    }

    /// The time limit for the authentication of a connection.
    pub fn handshake(&self) -> Duration {
        self.handshake
    }

    /// Sums up refusals that were not logged, and removes the buckets of idle clients, until
    /// `ended`.
    pub async fn keep_clean(self: Arc<Self>, ended: CancellationToken) {
        let check = async {
            for check in 1_u64.. {
                tokio::time::sleep(CHECK).await;
                log_left_out(&self.refusals.due());
                if check % CHECKS == 0 {
                    let paces = self.messages.iter().chain(&self.frames);
                    paces.for_each(Pace::sweep);
                }
            }
        };
        ended.run_until_cancelled(check).await;
    }
}

fn log_left_out(sums: &[LeftOut]) {
    for LeftOut {
        address,
        count,
        time,
    } in sums
    {
        let address = address.map_or_else(|| "others".to_owned(), |address| address.to_string());
        let seconds = time.as_secs();
        info!(%address, "refused {count} more in {seconds} s");
    }
}

impl BySource {
    fn new(settings: &LimitSettings) -> Self {
        Self {
            addresses: settings.connections_per_address.map(Counts::new),
            unauthenticated: settings.unauthenticated.map(Counts::new),
        }
    }

    fn address(&self, address: IpAddr) -> Result<Option<Slot<IpAddr>>, Error> {
        let address = address.to_canonical();
        let Some(addresses) = self.addresses.as_ref().filter(|_| !address.is_loopback()) else {
            return Ok(None);
        };
        let most = addresses.most();
        let why = || too_many(&format!("{most} connections from one address"));
        addresses.take(network(address)).map(Some).ok_or_else(why)
    }

    fn unauthenticated(&self) -> Result<Option<Slot<()>>, Error> {
        let Some(unauthenticated) = &self.unauthenticated else {
            return Ok(None);
        };
        let why = || {
            too_many(&format!(
                "{} unauthenticated connections",
                unauthenticated.most()
            ))
        };
        unauthenticated.take(()).map(Some).ok_or_else(why)
    }
}

/// The unit of counting: of IPv6 the network of 64 bits, since the owner of one address there has
/// all of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

fn too_many(most: &str) -> Error {
    Error {
        retry_after_ms: Some(UNTIL_ONE_ENDS_MS),
        ..Error::new(ErrorKind::RateLimited, format!("at most {most} at once"))
    }
}

#[cfg(test)]
mod tests;
