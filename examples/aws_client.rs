//! The cloud side alone: waits for one task, or one OTA update, and its image, and says what they are. Credentials
//! and endpoints come from the environment, as in the service: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL_S3`, …
//!
//! ```text
//! aws_client REGION task TASK-ID AWS-GROUP-ID GATEWAY-EUI [ROLE-TO-ASSUME]
//! aws_client REGION update UPDATE-ID
//! aws_client REGION objects <LIST      (an s3:// address a line)
//! ```

use std::time::Duration;

use fuotad::cloud::image_ref;

use fuotad::broadcast::SignatureWish;
use fuotad::cloud::task_from_file;
use fuotad::daemon::Fact;
use fuotad::daemon::FetchOrder;
use fuotad::daemon::Fetched;
use fuotad::daemon::ImageWish;
use fuotad::daemon::aws;
use fuotad::image::Digest;
use fuotad::task::TaskId;
use tokio::sync::mpsc;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let settings = match words.as_slice() {
        [region, "task", task, group, eui, roles @ ..] => aws::Settings {
            groups: [((*group).to_owned(), "group".to_owned())].into(),
            gateway_eui: Some((*eui).to_owned()),
            assume_roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..aws::Settings::new(region, &[task])
        },
        [region, "update", update] => {
            aws::Settings { ota_updates: vec![(*update).to_owned()], ..aws::Settings::new(region, &[]) }
        }
        [region, "objects"] => return objects(&aws::Settings::new(region, &[])),
        _ => anyhow::bail!(
            "usage: aws_client REGION task ID GROUP EUI [ROLE] | REGION update ID | REGION objects"
        ),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (to_us, mut facts) = mpsc::channel(4);
        let (wishes, to_them) = mpsc::channel(4);
        let talk = async {
            while let Some(fact) = facts.recv().await {
                match fact {
                    Fact::Task { document, stem, .. } => {
                        let task = task_from_file(&document, &stem)?;
                        println!(
                            "task {}: {} {}, groups {:?}",
                            task.id,
                            fuotad::cloud::status_to_aws(&task.status),
                            task.image,
                            task.groups
                        );
                        let signature = SignatureWish::IfThere;
                        let order = FetchOrder { task: task.id, image: task.image, digest: None, signature };
                        wishes.send(ImageWish::Fetch(order)).await?;
                    }
                    Fact::Image(_, Fetched::Image(bytes, evidence)) => {
                        let signature = evidence.map_or("none".to_owned(), |evidence| evidence.origin);
                        println!("signature: {signature}");
                        println!("image: {} bytes, SHA-256 {}", bytes.len(), Digest::of(&bytes));
                        return Ok(());
                    }
                    other => anyhow::bail!("{other:?}"),
                }
            }
            anyhow::bail!("no more facts")
        };
        let work = aws::run(settings, to_us, to_them, std::future::pending());
        tokio::select! {
            result = tokio::time::timeout(Duration::from_secs(120), talk) => result?,
            () = work => anyhow::bail!("it ended"),
        }
    })
}

/// Fetches each object that standard input names, and prints its SHA-256 and its address.
fn objects(settings: &aws::Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (to_us, mut facts) = mpsc::channel(4);
        let (wishes, to_them) = mpsc::channel(4);
        let talk = async {
            for line in std::io::stdin().lines() {
                let address = line?;
                let (task, image) = (TaskId::new("object")?, image_ref(&address)?);
                let order = FetchOrder { task, image, digest: None, signature: SignatureWish::No };
                wishes.send(ImageWish::Fetch(order)).await?;
                match facts.recv().await {
                    Some(Fact::Image(_, Fetched::Image(bytes, _))) => {
                        println!("{} {address}", Digest::of(&bytes))
                    }
                    other => anyhow::bail!("{address}: {other:?}"),
                }
            }
            Ok(())
        };
        let work = aws::run(settings.clone(), to_us, to_them, std::future::pending());
        tokio::select! {
            result = tokio::time::timeout(Duration::from_secs(120), talk) => result?,
            () = work => anyhow::bail!("it ended"),
        }
    })
}
