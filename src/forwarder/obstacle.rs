//! Why nothing of ours can be handed to the forwarder at the moment.

/// What every sentence begins with.
const WHO: &str = "the packet forwarder: ";

/// What has to change before a frame of ours can be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing that we serve came since the start.
    NotHeard,
    /// Uplinks come, but nothing says where downlinks go.
    NoPullData,
    /// It was heard, and three of its keepalives are missing.
    Silent,
    /// Nobody would ever learn what became of a frame.
    Version1,
    /// It left a frame and its copy unanswered and was not heard since.
    Unanswered,
}

impl Obstacle {
    /// The sentence for operators; it says what is waited for.
    pub fn as_str(self) -> &'static str {
        match self {
            Obstacle::NotHeard => "the packet forwarder: it has not been heard",
            Obstacle::NoPullData => {
                "the packet forwarder: its uplinks come, but no PULL_DATA: its serv_port_down must be our port, too"
            }
            Obstacle::Silent => "the packet forwarder: it fell silent",
            Obstacle::Version1 => "the packet forwarder: it speaks version 1, which has no TX_ACK",
            Obstacle::Unanswered => {
                "the packet forwarder: it left a frame unanswered and was not heard since"
            }
        }
    }

    /// The same without its subject.
    pub fn reason(self) -> &'static str {
        self.as_str().trim_start_matches(WHO)
    }
}
