//! Which forwarder reads the file: they differ in where the server's address stands.

use core::fmt;
use core::str::FromStr;

/// A family of packet forwarders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Semtech's own: one server, `gateway_conf.server_address`.
    Semtech,
    /// `mp_pkt_fwd`: a list `gateway_conf.servers` comes first.
    Mp,
    /// `poly_pkt_fwd`: a list `gateway_conf.servers` comes first.
    Poly,
    /// Dragino's: a list `gateway_conf.servers` comes first.
    Dragino,
}

const DIALECTS: [(&str, Dialect); 4] = [
    ("semtech", Dialect::Semtech),
    ("mp", Dialect::Mp),
    ("poly", Dialect::Poly),
    ("dragino", Dialect::Dragino),
];

impl FromStr for Dialect {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let known = DIALECTS.iter().find(|(known, _)| *known == name);
        known.map(|(_, dialect)| *dialect).ok_or_else(|| {
            format!("{name:?} is no dialect of packet forwarders: use semtech, mp, poly or dragino")
        })
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = DIALECTS.iter().find(|(_, dialect)| dialect == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}
