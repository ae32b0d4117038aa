#!/usr/bin/env python3
# Sends a reader's reports and loses none. Needs python3-paho-mqtt.
#   reader.py BROKER:PORT SITE DEVICE OUTBOX [CA CERTIFICATE KEY] <READINGS
# Each line of READINGS is those of one report: [{"kind":"spo2","value":97,"unit":"%"}]. It is kept in the directory OUTBOX
# until its receipt has come, and sent again meanwhile; the program ends when nothing is left there.
import json, os, pathlib, random, sys, time
from datetime import datetime, timezone
import paho.mqtt.client as mqtt

broker, site, device = sys.argv[1:4]
outbox = pathlib.Path(sys.argv[4])
outbox.mkdir(parents=True, exist_ok=True)
topic = f"homeward/v1/{site}/{device}/"
shortest = float(os.environ.get("READER_RETRY", "10"))  # seconds until a report is sent again; doubles up to 30 min
due, wait = {}, {}

def keep(readings):
    number = int((outbox / "seq").read_text()) + 1 if (outbox / "seq").exists() else 1
    # Unique for ever, also for a reader that has forgotten its number.
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    report = {"id": f"{os.urandom(4).hex()}-{number}", "taken_at": now, "seq": number, "readings": readings}
    for name, text in (("seq", str(number)), (report["id"] + ".json", json.dumps(report))):
        with open(outbox / "new", "w") as file:
            file.write(text)
            os.fsync(file.fileno())
        os.replace(outbox / "new", outbox / name)

def on_connect(client, *_):
    client.subscribe(topic + "receipt", qos=1)
    client.publish(topic + "status", '{"state":"online"}', qos=1, retain=True)
    due.clear()  # everything at once

def on_message(_client, _userdata, message):
    kept = outbox / (json.loads(message.payload)["id"] + ".json")
    if kept.exists():
        kept.unlink()
        print(message.payload.decode(), flush=True)

for line in sys.stdin:
    keep(json.loads(line))
versions = getattr(mqtt, "CallbackAPIVersion", None)  # paho 2 asks for it
client = mqtt.Client(*([versions.VERSION2] if versions else []), client_id=device, protocol=mqtt.MQTTv5)
client.on_connect, client.on_message = on_connect, on_message
client.will_set(topic + "status", '{"state":"offline"}', qos=1, retain=True)
if len(sys.argv) > 5:
    client.tls_set(*sys.argv[5:8])
client.connect_async(broker.rsplit(":", 1)[0], int(broker.rsplit(":", 1)[1]), keepalive=60)
client.loop_start()
while reports := sorted(outbox.glob("*.json"), key=lambda path: int(path.stem.split("-")[1])):
    for report in reports:
        if client.is_connected() and due.get(report, 0) <= time.monotonic():
            try:
                client.publish(topic + "report", report.read_bytes(), qos=1)
            except FileNotFoundError:
                continue  # its receipt has just come
            wait[report] = min(wait.get(report, shortest / 2) * 2, 1800)
            due[report] = time.monotonic() + wait[report] * random.uniform(0.5, 1)
    time.sleep(0.1)
client.disconnect()
client.loop_stop()
