//! The tests' double of AWS as a program, for clients that were written elsewhere: `tests/oracles/run.sh`.
//!
//! Prints its address, serves until its input ends, then prints every request as a line of JSON.

#[path = "../tests/common/fake_aws.rs"]
mod fake_aws;

use fake_aws::FakeAws;

fn main() -> std::io::Result<()> {
    let fake = FakeAws::start();
    fake.put_task(
        "task-1",
        "FuotaSession_Waiting",
        Some("2026-11-22T02:00:00Z"),
        "s3://fw-bucket/a b/app+1.bin",
    );
    fake.put_group("group-1", 1);
    fake.world().task_groups.insert("task-1".to_owned(), vec!["group-1".to_owned()]);
    let image: Vec<u8> =
        (0..150_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fake.put_object("fw-bucket/a b/app+1.bin", &image, true);
    println!("{}", fake.url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    for request in &fake.world().requests {
        let line = serde_json::json!({
            "method": request.method, "target": request.target, "headers": request.headers,
        });
        println!("{line}");
    }
    Ok(())
}
