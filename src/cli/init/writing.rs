//! The text of a first configuration.

use super::lns::Lns;
use super::lns::quoted;
use std::net::SocketAddr;

/// Where the forwarder is expected by default, and by `fuotad.socket`.
pub const LISTEN: &str = "127.0.0.1:1700";
/// Where it is expected when a network server on this machine has that port.
const LISTEN_BESIDE: &str = "127.0.0.1:1701";

/// What was found and answered.
pub struct Answers {
    /// The region's name in the API.
    pub region: String,
    /// HOST:PORT of the network server; `None`: there is none.
    pub server: Option<String>,
    /// `antenna_gain` of the forwarder's file, dBi; 0 when it says nothing.
    pub antenna_gain_dbi: f64,
    /// The application side through which devices are set up; `None`: others do it.
    pub lns: Option<Lns>,
}

impl Answers {
    /// Where the forwarder is to send: beside a network server on this machine that has the usual port, the next one.
    pub fn listen(&self) -> &'static str {
        let is_taken = |server: &String| {
            let address = server.replacen("localhost:", "127.0.0.1:", 1).parse::<SocketAddr>();
            let (Ok(address), Ok(ours)) = (address, LISTEN.parse::<SocketAddr>()) else { return false };
            address.port() == ours.port() && (address.ip().is_loopback() || address.ip().is_unspecified())
        };
        if self.server.as_ref().is_some_and(is_taken) { LISTEN_BESIDE } else { LISTEN }
    }

    /// The configuration without its groups.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# Written by `fuotad init`. Every key: fuotad.toml(5).\n\n[gateway]\nregion = {}\n",
            quoted(&self.region)
        );
        if self.antenna_gain_dbi != 0.0 {
            let gain = self.antenna_gain_dbi;
            text.push_str(&format!(
                "\n[radio]\nantenna-gain-dbi = {gain}                   # gain of the real antenna less its cable\n\
                 forwarder-antenna-gain-dbi = {gain}         # antenna_gain in the packet forwarder's file\n"
            ));
        }
        if self.listen() != LISTEN {
            text.push_str(&format!(
                "\n[forwarder]\nlisten = {}              # the network server here has port 1700\n",
                quoted(self.listen())
            ));
        }
        if let Some(server) = &self.server {
            text.push_str(&format!("\n[[network-server]]\naddress = {}\n", quoted(server)));
        }
        text.extend(self.lns.iter().map(Lns::text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeMap;

    fn answers(server: Option<&str>) -> Answers {
        Answers {
            region: "EU868".to_owned(),
            server: server.map(str::to_owned),
            antenna_gain_dbi: 2.0,
            lns: None,
        }
    }

    #[test]
    fn the_text_says_what_was_answered() {
        let config =
            Config::from_text(&answers(Some("lns.example.org:1700")).text(), &BTreeMap::new()).unwrap();
        assert_eq!(config.gateway.region, "EU868");
        assert_eq!(config.network_server[0].address, "lns.example.org:1700");
        assert_eq!(config.forwarder.listen, LISTEN);
        assert_eq!(config.radio.forwarder_antenna_gain_dbi, 2.0);
    }

    #[test]
    fn beside_a_server_on_this_machine_the_next_port_is_taken() {
        for server in ["127.0.0.1:1700", "localhost:1700"] {
            let config = Config::from_text(&answers(Some(server)).text(), &BTreeMap::new()).unwrap();
            assert_eq!(config.forwarder.listen, LISTEN_BESIDE, "{server}");
        }
        for server in [Some("127.0.0.1:1680"), Some("192.0.2.1:1700"), Some("lns.example.org:1700"), None] {
            assert_eq!(answers(server).listen(), LISTEN, "{server:?}");
        }
    }
}
