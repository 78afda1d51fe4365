//! The tests' double of AWS as a program, for clients that were written elsewhere: `tests/oracles/run.sh`.
//!
//! Prints its address, serves until its input ends, then prints every request as a line of JSON.

#[path = "../tests/support/fake_aws.rs"]
#[allow(dead_code, reason = "the tests take the rest")]
#[expect(clippy::unwrap_used, reason = "a double that is used wrongly should fail loudly")]
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
    fake.put_session(
        "group-1",
        serde_json::json!({"DlDr": 3, "DlFreq": 869_525_000,
        "SessionStartTime": "2026-11-22T02:00:00Z", "SessionTimeout": 4096}),
    );
    fake.put_gateway("0016c001f1500812", "gateway-0");
    let file = serde_json::json!({"fileName": "app.bin", "fileType": 1, "fileVersion": "1.4.2",
        "fileLocation": {"stream": {"streamId": "stream-1", "fileId": 3}},
        "codeSigning": {"awsSignerJobId": "0a1b2c3d-0000-4000-8000-000000000001",
            "startSigningJobParameter": {"signingProfileParameter": {}},
            "customCodeSigning": {"signature": {"inlineDocument": "MEUCIHNpZw=="},
            "certificateChain": {"certificateName": "signer.pem", "inlineDocument": "LS0t"},
            "hashAlgorithm": "SHA256", "signatureAlgorithm": "ECDSA"}},
        "attributes": {"mcGroup": "group"}});
    fake.put_update("update-1", "CREATE_COMPLETE", serde_json::json!([file]));
    fake.put_stream("stream-1", 3, "fw-bucket", "a b/app+1.bin");
    let job = serde_json::json!({"afr_ota": {"files": [{"filepath": "app.bin", "fileid": 0, "sig-sha256-ecdsa": "TUVZ"}]}});
    fake.world().job_documents.insert("AFR_OTA-update-1".to_owned(), job.to_string());
    let signed = serde_json::json!({"jobId": "0a1b2c3d-0000-4000-8000-000000000001", "status": "Succeeded",
        "source": {"s3": {"bucketName": "fw-bucket", "key": "k", "version": "v"}}, "createdAt": 1_732_233_600.5,
        "completedAt": 1_732_233_601, "signatureExpiresAt": 1_900_000_000, "profileName": "meters",
        "signedObject": {"s3": {"bucketName": "fw-bucket", "key": "SignedImages/x"}}});
    fake.world().signing_jobs.insert("0a1b2c3d-0000-4000-8000-000000000001".to_owned(), signed);
    fake.world().roles.push("arn:aws:iam::123456789012:role/fuota-read".to_owned());
    println!("{}", fake.url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    for request in &fake.world().requests {
        let line = serde_json::json!({
            "method": request.method, "target": request.target, "headers": request.headers, "body": request.body,
        });
        println!("{line}");
    }
    Ok(())
}
