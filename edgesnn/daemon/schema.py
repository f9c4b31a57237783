"""What config.toml may say (docs/daemon.md); `--print-config` shows the descriptions and examples that stand here.

A key that only models of events, or only models of tokens have use for says so in its metadata (`of`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from edgesnn.daemon.values import (
    BirthTopic,
    BrokerUrl,
    ClientId,
    DiscoveryPrefix,
    DurationUs,
    FilterText,
    NodeName,
    Qos,
    RateHz,
    Sensor,
    SizeBytes,
    Speed,
    StreamName,
    wrong,
)
from edgesnn.publish.publisher import host_node

EVENTS: dict[str, Any] = {"of": "events"}
LINES: dict[str, Any] = {"of": "tokens"}

MOST_RECORDED = 500_000_000

Words = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A table of the file: no other keys, no guessed types, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Node(Section):
    """Who this is."""

    name: NodeName = Field(default_factory=host_node, description="one level of every topic; the host's name")


class Mqtt(Section):
    """The broker. The password never stands here: it comes from `password_file` or from EDGESNN_MQTT_PASSWORD."""

    url: BrokerUrl = Field(
        description="mqtt://[user@]host[:port], mqtts:// with TLS, or ws://[user@]host[:port][/path], wss:// with TLS",
        examples=["mqtt://127.0.0.1:1883"],
    )
    client_id: ClientId | None = Field(
        default=None,
        description="of the connection with the predictions; the others add -node, -cmd, -check. A random one is safer",
        examples=["gate-1"],
    )
    password_file: Words | None = Field(
        default=None, description="a file with the password", examples=["/run/edgesnn/password"]
    )
    ca_file: Words | None = Field(
        default=None, description="of mqtts://: certificate authorities; the system's", examples=["/etc/edgesnn/ca.pem"]
    )
    cert_file: Words | None = Field(
        default=None, description="our certificate, where the broker wants one", examples=["/etc/edgesnn/gate-1.pem"]
    )
    key_file: Words | None = Field(
        default=None, description="its key; in the file of the certificate", examples=["/etc/edgesnn/gate-1.key"]
    )
    protocol: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="MQTT version")
    qos: Qos = Field(default=1, description="of predictions, states and events; 0: never acknowledged nor sent again")
    no_subscriber: Literal["keep", "drop"] = Field(
        default="keep",
        description="a prediction that the broker says nobody subscribes to (MQTT 5): try again, or count it",
    )


class Outbox(Section):
    """Predictions that wait for the broker: in a file, so that they outlive this process (docs/outbox.md)."""

    durability: Literal["process", "power", "none"] = Field(
        default="process", description="what they outlive: this process, a power cut too, or nothing (memory only)"
    )
    file: Words | None = Field(
        default=None,
        description="the file; outbox-<node>.sqlite in systemd's STATE_DIRECTORY, else in ~/.local/state/edgesnn",
        examples=["/var/lib/edgesnn/outbox.sqlite"],
    )
    max_size: SizeBytes = Field(default="64MB", description="the most that the file takes")  # type: ignore[assignment]
    max_age: DurationUs = Field(default="24h", description="older ones are dropped and counted")  # type: ignore[assignment]
    capacity: int = Field(default=1_000_000, ge=1, le=10_000_000, description="how many may wait; in memory 10,000")
    policy: Literal["overwrite_oldest", "reject_new"] = Field(
        default="overwrite_oldest", description="what goes where there is no room; it is counted"
    )
    drain_rate: RateHz = Field(default="500Hz", description="how quickly a backlog shrinks")  # type: ignore[assignment]
    drain: DurationUs = Field(default="10s", description="how long the end waits for acknowledgements")  # type: ignore[assignment]


class Checkpoint(Section):
    """The states of streams whose models are never reset, on the disk: the next process goes on from them."""

    folder: Words | None = Field(
        default=None,
        description="where they are; checkpoints-<node> beside the outbox's file",
        examples=["/var/lib/edgesnn/checkpoints"],
    )
    period: DurationUs = Field(default="30s", description="from one to the next; a kill loses at most so much")  # type: ignore[assignment]
    max_size: SizeBytes = Field(default="64MB", description="a larger one is not written")  # type: ignore[assignment]


class Recorder(Section):
    """The flight recorder: what each stream took in lately, in memory, written as a file when it matters."""

    enabled: bool = Field(default=False, description="whether it runs; bundles hold raw events and lines")
    folder: Words | None = Field(
        default=None,
        description="where bundles are; bundles-<node> beside the outbox's file",
        examples=["/var/lib/edgesnn/bundles"],
    )
    on: list[Literal["label", "low_confidence", "crash", "command", "stop"]] = Field(
        default=["crash", "command", "stop"], description="what makes one: label, low_confidence, crash, command, stop"
    )
    labels: list[Words] = Field(default=[], description="of label: these; all where there are none")
    confidence: float = Field(default=0.5, ge=0, le=1, description="of low_confidence: below this")
    apart: DurationUs = Field(default="10s", description="between two of a stream by label, low_confidence or crash")  # type: ignore[assignment]
    span: DurationUs = Field(default="30s", description="how much time is held, where memory allows")  # type: ignore[assignment]
    memory: SizeBytes = Field(default="16MB", description="for each stream")  # type: ignore[assignment]
    max_bundles: int = Field(default=50, ge=1, le=100_000, description="then the oldest goes")
    max_size: SizeBytes = Field(default="256MB", description="of all together; then the oldest goes")  # type: ignore[assignment]

    @model_validator(mode="after")
    def _room(self) -> Recorder:
        if self.memory > MOST_RECORDED:
            raise wrong("more memory than a bundle may take", f"recorder.memory of at most {MOST_RECORDED} bytes")
        if self.max_size < 2 * self.memory:
            raise wrong("no room for a bundle", "recorder.max_size of at least twice recorder.memory")
        return self


class HomeAssistant(Section):
    """What Home Assistant is told, so that it knows node and streams by itself (docs/home-assistant.md)."""

    enabled: bool = Field(default=False, description="whether it is told anything")
    prefix: DiscoveryPrefix = Field(default="homeassistant", description="its discovery prefix")
    birth_topic: BirthTopic = Field(
        default="homeassistant/status", description="where it says `online`; it is then told again"
    )


class Telemetry(Section):
    """What is told of the board: power, temperatures, throttling, energy of a decision (docs/telemetry.md)."""

    enabled: bool = Field(
        default=True, description="whether its sensors are looked at; where it has none that costs nothing"
    )
    period: DurationUs = Field(default="1s", description="from one look to the next, 100ms to 5s")  # type: ignore[assignment]
    rails: list[Words] | None = Field(
        default=None,
        min_length=1,
        description="those that together are the whole board, where it is none of those known",
        examples=[["VIN"]],
    )
    idle_power: float | None = Field(
        default=None,
        ge=0,
        le=10_000,
        allow_inf_nan=False,
        description="W of the board without the service (`edgesnn doctor --power 60s`): what is above it is decisions'",
        examples=[4.2],
    )
    sysfs: Words = Field(default="/sys", description="where sysfs is, in a container perhaps elsewhere")

    @model_validator(mode="after")
    def _pace(self) -> Telemetry:
        if not 100_000 <= self.period <= 5_000_000:
            raise wrong("out of range", "telemetry.period of 100ms to 5s")
        return self


class Http(Section):
    """Where /metrics, /healthz and /readyz are."""

    enabled: bool = Field(default=True, description="whether they are anywhere")
    host: Words = Field(
        default="127.0.0.1", description="an address of this machine; others than 127.0.0.1 are open to its net"
    )
    port: int = Field(default=9469, ge=0, le=65535, description="0: any free one")


class Process(Section):
    """What is asked of the kernel; refused at the start where it is not permitted."""

    cpus: list[Annotated[int, Field(ge=0, le=4095)]] | None = Field(
        default=None, min_length=1, description="processors that may be used", examples=[[0]]
    )
    fifo_priority: int | None = Field(
        default=None, ge=1, le=99, description="SCHED_FIFO for the threads that read and decide", examples=[10]
    )
    lock_memory: bool = Field(default=False, description="keep all memory from being paged out (mlockall)")


class Log(Section):
    """What is said on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least that is said")
    format: Literal["auto", "text", "journal", "json"] = Field(
        default="auto", description="auto: journal where systemd reads it, else text"
    )


class Commands(Section):
    """What may be asked over MQTT, by whoever may publish below edgesnn/<node>/cmd/ (docs/mqtt.md, "Commands")."""

    enabled: bool = Field(default=False, description="whether anything may")
    allow: list[Literal["ping", "pause", "resume", "reset", "snapshot", "set"]] = Field(
        default=["ping"], description="what is done; anything else is refused"
    )


class Reset(Section):
    """When the states of a token model begin anew, instead of as the model file says."""

    policy: Literal["line", "tokens", "never"] = Field(description="at each line, after so many tokens, or never")
    tokens: int | None = Field(default=None, ge=1, le=1 << 30, description="of policy tokens")
    idle: DurationUs | None = Field(default=None, description="also after such a silence")

    @model_validator(mode="after")
    def _tokens(self) -> Reset:
        if (self.policy == "tokens") != (self.tokens is not None):
            raise wrong("tokens belongs to the policy tokens", 'policy = "tokens", tokens = 64')
        return self


class ReadoutNumbers(Section):
    """Numbers of the model's readout, instead of those of its file: predictions then carry another identity."""

    rejection: float | None = Field(default=None, ge=0, le=1, description="a confidence below it is no label")
    temperature: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="divides the scores")
    early_exit: float | None = Field(
        default=None, ge=0, le=1, description="a window stops once the confidence exceeds it"
    )
    min_steps: int | None = Field(default=None, ge=1, description="the first step that may stop a window")


class Stream(Section):
    """One stream: a source, a model, and what of its predictions is published."""

    name: StreamName = Field(description="one level of its topics", examples=["gate"])
    source: Words = Field(
        description="a recording or log file, or the address of a live source (docs/sources.md, docs/tokens.md)",
        examples=["udp://127.0.0.1:3333?format=evt3&sensor=640x480"],
    )
    model: Words = Field(
        description="a model file, or a name in the zoo; streams of one model share it", examples=["gestures"]
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="the model's identity (`edgesnn info --json`): another one is refused",
        examples=["0" * 64],
    )
    backend: Literal["auto", "native", "onnx", "reference", "tensorrt"] = Field(
        default="auto", description="what runs the model"
    )
    publish: Literal["window", "change"] = Field(
        default="window",
        description="every window or line, or only those whose decision or label differs from the last one",
    )
    rate_limit: RateHz | None = Field(
        default=None, description="publish at most so many a second; the others are counted", examples=["10Hz"]
    )
    min_confidence: float = Field(
        default=0.0, ge=0, le=1, description="labels of less are not published; decisions without a label are"
    )
    checkpoint: bool | None = Field(
        default=None,
        description="whether its state outlives this process; as the model's states: where one is never reset",
        examples=[True],
    )
    readout: ReadoutNumbers | None = Field(
        default=None, examples=[{"rejection": 0.5}], description="other numbers of the readout"
    )

    format: Words | None = Field(
        default=None, json_schema_extra=EVENTS, description="of the recording or source", examples=["evt3"]
    )
    sensor: Sensor | None = Field(
        default=None,
        json_schema_extra=EVENTS,
        description="size, where the source does not say it",
        examples=["640x480"],
    )
    columns: Words | None = Field(
        default=None, json_schema_extra=EVENTS, description="of a table", examples=["t,x,y,p"]
    )
    on_corrupt: Literal["strict", "skip"] | None = Field(
        default=None,
        json_schema_extra=EVENTS,
        description="damage of a file: its stream ends with an error, or it is counted",
    )
    speed: Speed = Field(default="max", json_schema_extra=EVENTS, description="of a recording: its own pace, or max")
    filters: list[FilterText] = Field(
        default=[], json_schema_extra=EVENTS, description="before the windows, in this order (docs/filters.md)"
    )
    adapt: Literal["letterbox", "crop", "downsample"] | None = Field(
        default=None, json_schema_extra=EVENTS, description="how another sensor's events come onto the model's"
    )
    window_events: int | None = Field(
        default=None, ge=1, json_schema_extra=EVENTS, description="windows of so many events", examples=[5000]
    )
    hop_events: int | None = Field(
        default=None, ge=1, json_schema_extra=EVENTS, description="from one such window to the next", examples=[2500]
    )
    when_full: Literal["block", "drop_oldest", "decimate"] | None = Field(
        default=None, json_schema_extra=EVENTS, description="of the ring before the windows (docs/pipeline.md)"
    )
    ring_events: int = Field(
        default=1 << 20, ge=1 << 10, le=1 << 28, json_schema_extra=EVENTS, description="its room; 13 bytes each"
    )
    keep_every: int = Field(default=4, ge=2, le=1 << 30, json_schema_extra=EVENTS, description="of decimate")

    follow: bool = Field(default=False, json_schema_extra=LINES, description="go on at the end of a log, as tail -F")
    key: Literal["origin"] | Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        json_schema_extra=LINES,
        description='a session for each "origin", or for each value of a field',
        examples=["origin"],
    )
    sessions: int = Field(default=64, ge=1, le=1 << 16, json_schema_extra=LINES, description="at most so many")
    reset: Reset | None = Field(
        default=None, json_schema_extra=LINES, examples=[{"policy": "line"}], description="when states begin anew"
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        json_schema_extra=LINES,
        description="bits per token above which a line is an alert",
        examples=[3.5],
    )
    alerts_per_day: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        json_schema_extra=LINES,
        description="the threshold of so many, by a normal log",
        examples=[2.0],
    )
    normal: Words | None = Field(default=None, json_schema_extra=LINES, description="that log", examples=["normal.log"])
    normal_time: DurationUs | None = Field(
        default=None, json_schema_extra=LINES, description="the time that it covers", examples=["7d"]
    )
    publish_text: bool = Field(
        default=False, json_schema_extra=LINES, description="predictions carry the text that the model saw"
    )

    @model_validator(mode="after")
    def _alerts(self) -> Stream:
        by_day = (self.alerts_per_day, self.normal, self.normal_time)
        if any(value is not None for value in by_day) and any(value is None for value in by_day):
            raise wrong("alerts a day need a normal log and its time", "alerts_per_day, normal and normal_time")
        if self.alerts_per_day is not None and self.threshold is not None:
            raise wrong("the threshold is said twice", "threshold, or alerts_per_day")
        return self


class Config(Section):
    """The file."""

    version: Literal[1] = Field(default=1, description="of what this file may say")
    node: Node = Field(default_factory=Node)
    mqtt: Mqtt
    outbox: Outbox = Outbox()
    checkpoint: Checkpoint = Checkpoint()
    recorder: Recorder = Recorder()
    commands: Commands = Commands()
    home_assistant: HomeAssistant = HomeAssistant()
    telemetry: Telemetry = Telemetry()
    http: Http = Http()
    process: Process = Process()
    log: Log = Log()
    stream: list[Stream] = Field(min_length=1, max_length=256)
