//! The hand of the room `lns`: one MQTT connection for each network server.

mod settings;

pub use settings::LnsSettings;
pub use settings::LnsTls;
