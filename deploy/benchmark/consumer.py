"""The reference consumer: paho-mqtt and psycopg, readings stored by COPY in batches.

It stores the same readings as Homeward does and nothing else: no validation, no keys, no judging, no raw report.
Ends when it has stored as many reports as it was told to, and prints its CPU seconds and peak memory.
"""

import json
import queue
import resource
import sys

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

port, url, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
reports: queue.SimpleQueue = queue.SimpleQueue()


def on_message(client, userdata, message):
    reports.put((message.topic, message.payload))


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="reference", protocol=mqtt.MQTTv5)
client.on_message = on_message
properties = Properties(PacketTypes.CONNECT)
properties.SessionExpiryInterval = 3600
properties.ReceiveMaximum = 2000
client.connect("127.0.0.1", port, clean_start=False, properties=properties)
client.subscribe("homeward/v1/+/+/report", qos=1)
if count == 0:
    # Only to leave a session behind, under which the broker queues.
    subscribed = []
    client.on_subscribe = lambda *arguments: subscribed.append(True)
    while not subscribed:
        client.loop(0.1)
    client.disconnect()
    client.loop(0.1)
    sys.exit(0)

client.loop_start()
stored = 0
with psycopg.connect(url) as connection:
    while stored < count:
        batch = [reports.get()]
        while len(batch) < 2000 and not reports.empty():
            batch.append(reports.get())
        with connection.cursor() as cursor:
            with cursor.copy(
                "COPY reference_reading (device, report_id, taken_at, kind, value, unit) FROM STDIN"
            ) as copy:
                for topic, payload in batch:
                    report = json.loads(payload)
                    device = topic.split("/")[3]
                    for reading in report["readings"]:
                        copy.write_row(
                            (device, report["id"], report["taken_at"], reading["kind"], reading["value"],
                             reading["unit"])
                        )
        connection.commit()
        stored += len(batch)
client.loop_stop()
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": usage.ru_utime + usage.ru_stime, "peak_kib": usage.ru_maxrss}))
