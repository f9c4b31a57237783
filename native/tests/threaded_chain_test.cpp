// The chain with a thread that reads: the decisions of the chain alone from files, pipes, sockets and pushes; nothing
// lost without a name behind a consumer that stands still; ends, errors and close at any moment. Built with
// -DEDGESNN_SANITIZE=thread it also says that nothing is shared without a lock.
#include "pipeline/threaded_chain.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "events/encode/encoder.hpp"
#include "tests/drawn_cases.hpp"
#include "tests/made_up_chains.hpp"

using namespace edgesnn;
using namespace edgesnn::made_up;
using std::chrono::milliseconds;

namespace {

using Bytes = std::vector<uint8_t>;
using Lines = std::vector<std::string>;

int failures = 0;

void check(bool holds, const std::string& what, unsigned seed = 0) {
    if (holds) return;
    ++failures;
    std::fprintf(stderr, "seed %u: %s\n", seed, what.c_str());
}

// Times that rise, as a camera's.
std::vector<Event> rising(std::mt19937& random, encode::Sensor sensor, size_t count) {
    std::vector<Event> events(count);
    int64_t t = 5000;
    for (Event& event : events) {
        t += static_cast<int64_t>(random() % 300);
        event = {t, static_cast<uint16_t>(random() % static_cast<uint32_t>(sensor.width)),
                 static_cast<uint16_t>(random() % static_cast<uint32_t>(sensor.height)),
                 static_cast<uint8_t>(random() % 2)};
    }
    return events;
}

// A plan, events, and their words in EVT3 with some words damaged.
struct Case {
    Plan plan;
    Bytes bytes;

    explicit Case(unsigned seed, size_t count = 3000) {
        std::mt19937 random(seed);
        plan = make_plan(random, seed % 2 == 1);
        const std::vector<Event> events = rising(random, plan.options.sensor, count);
        const auto encoder = events::make_encoder("evt3", {plan.options.sensor.width, plan.options.sensor.height, ""});
        events::WordWriter out(bytes);
        encoder->encode({events.data(), events.size()}, {}, events::kNoTime, out);
        out.flush();
        for (size_t i = 0; seed % 3 == 0 && i < bytes.size() / 500; ++i)
            bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    }
    std::unique_ptr<Chain> chain(events::OnCorrupt on_corrupt = events::OnCorrupt::skip) const {
        const encode::Sensor sensor = plan.options.sensor;
        return make_chain(plan, events::make_decoder("evt3", {sensor.width, sensor.height, on_corrupt, 0, "test", ""}));
    }
    std::unique_ptr<ThreadedChain> threaded(WhenFull when_full, size_t room = size_t{1} << 20) const {
        return std::make_unique<ThreadedChain>(chain(), RingOptions{when_full, room, 3});
    }
};

Lines alone(const Case& test, CounterMap& counters) {
    const auto chain = test.chain();
    chain->input().push_bytes({test.bytes.data(), test.bytes.size()}, {});
    chain->input().finish();
    Lines out;
    Result result;
    for (bool ready = true; chain->poll(result, ready).ok() && ready;) out.push_back(describe(result));
    counters = chain->counters();
    return out;
}

Status drain(ThreadedChain& chain, Lines& out) {
    Result result;
    while (!chain.ended()) {
        bool ready = false;
        if (Status status = chain.poll(result, ready, milliseconds(20)); !status.ok()) return status;
        if (ready) out.push_back(describe(result));
        check(identity_holds(chain.counters()), "events are lost without a name");
    }
    return {};
}

void write_all(int fd, const Bytes& bytes, size_t piece) {
    for (size_t at = 0; at < bytes.size();) {
        const ssize_t done = ::write(fd, bytes.data() + at, std::min(piece, bytes.size() - at));
        if (done < 0) return;
        at += static_cast<size_t>(done);
    }
}

void same(const Case& test, ThreadedChain& chain, const char* what, unsigned seed) {
    CounterMap expected;
    const Lines lines = alone(test, expected);
    Lines found;
    check(drain(chain, found).ok() && found == lines, std::string(what) + ": other decisions", seed);
    CounterMap counters = chain.counters();
    for (const auto& [name, count] : expected)
        if (name != "packets_in") check(counters[name] == count, std::string(what) + ": other " + name, seed);
}

void from_file(const Case& test, unsigned seed) {
    char name[] = "/tmp/edgesnn-test-XXXXXX";
    const int fd = mkstemp(name);
    unlink(name);
    write_all(fd, test.bytes, test.bytes.size());
    lseek(fd, 0, SEEK_SET);
    const auto chain = test.threaded(WhenFull::block, kLeastRing);
    chain->read(fd, true, "file");
    close(fd);
    same(test, *chain, "file", seed);
}

void from_pipe(const Case& test, unsigned seed) {
    int fds[2];
    if (pipe(fds) != 0) return check(false, "no pipe");
    const auto chain = test.threaded(WhenFull::drop_oldest);
    chain->read(fds[0], true, "pipe");
    close(fds[0]);
    std::thread writer([&] {
        write_all(fds[1], test.bytes, 1 + seed * 7 % 300);
        close(fds[1]);
    });
    same(test, *chain, "pipe", seed);
    writer.join();
}

void from_socket(const Case& test, unsigned seed) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return check(false, "no socket");
    const auto chain = test.threaded(WhenFull::decimate);
    chain->read(fds[0], true, "socket");
    close(fds[0]);
    write_all(fds[1], test.bytes, 4096);
    close(fds[1]);
    same(test, *chain, "socket", seed);
}

// Datagrams have no end: the test ends the stream when all have come in.
void from_datagrams(const Case& test, unsigned seed) {
    const int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(receiver, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        connect(sender, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return check(false, "no datagrams");
    const auto chain = test.threaded(WhenFull::drop_oldest);
    chain->read(receiver, true, "datagrams");
    int64_t sent = 0, packets = 0;
    for (size_t at = 0; at < test.bytes.size(); at += 1400) {
        const size_t length = std::min(size_t{1400}, test.bytes.size() - at);
        sent += ::send(sender, test.bytes.data() + at, length, 0);
        for (++packets; chain->counters()["bytes_in"] < sent;) std::this_thread::yield();
    }
    check(chain->counters()["packets_in"] == packets, "a datagram does not stay whole", seed);
    chain->finish();
    same(test, *chain, "datagrams", seed);
    close(receiver);
    close(sender);
}

// Pushed by one thread, polled by another.
void from_pushes(const Case& test, unsigned seed, WhenFull when_full) {
    const auto chain = test.threaded(when_full, when_full == WhenFull::block ? kLeastRing : size_t{1} << 20);
    std::thread pusher([&] {
        const size_t piece = 1 + seed * 13 % 999;
        for (size_t at = 0; at < test.bytes.size(); at += piece)
            chain->push_bytes({test.bytes.data() + at, std::min(piece, test.bytes.size() - at)}, {});
        chain->finish();
    });
    same(test, *chain, "pushes", seed);
    pusher.join();
}

// Packets that are known before they are due: each comes then, not before; close ends the wait for one.
void from_schedule(const Case& test, unsigned seed) {
    std::mt19937 random(seed);
    const std::vector<Event> events = rising(random, test.plan.options.sensor, 2000);
    const auto alone = test.chain();
    alone->input().push_events({events.data(), events.size()}, events::kNoTime, {});
    alone->input().finish();
    Lines expected;
    Result result;
    for (bool ready = true; alone->poll(result, ready).ok() && ready;) expected.push_back(describe(result));

    const auto chain = test.threaded(seed % 2 == 0 ? WhenFull::block : WhenFull::drop_oldest);
    std::vector<DuePacket> packets;
    const int64_t began_ns = monotonic_ns();
    while (packets.empty() || packets.back().end < 2000) {
        const int64_t from = packets.empty() ? 0 : packets.back().end;
        const int64_t end = std::min<int64_t>(2000, from + 1 + static_cast<int64_t>(random() % 300));
        const auto number = static_cast<int64_t>(packets.size());
        packets.push_back({end, events[static_cast<size_t>(end - 1)].t, began_ns + number * 500'000});
    }
    const std::vector<int64_t> late_ns =
        chain->push_paced({events.data(), events.size()}, {packets.data(), packets.size()});
    check(monotonic_ns() >= packets.back().due_ns, "schedule: before it was due", seed);
    check(late_ns.size() == packets.size() && *std::min_element(late_ns.begin(), late_ns.end()) >= 0,
          "schedule: a packet is not told of, or came early", seed);
    CounterMap counters = chain->counters();
    check(counters["packets_in"] == static_cast<int64_t>(packets.size()), "schedule: other packets", seed);
    chain->finish();
    Lines found;
    check(drain(*chain, found).ok() && found == expected, "schedule: other decisions", seed);

    const auto waiting = test.threaded(WhenFull::drop_oldest);
    packets.back().due_ns = monotonic_ns() + 3'600'000'000'000;
    std::thread closer([&] {
        std::this_thread::sleep_for(milliseconds(seed % 3));
        waiting->close();
    });
    try {
        const size_t given =
            waiting->push_paced({events.data(), events.size()}, {packets.data(), packets.size()}).size();
        check(given < packets.size(), "schedule: given an hour early", seed);
    } catch (const Error&) {  // closed between a wait and its push
    }
    closer.join();
}

// A consumer that stands still: all that came in is named, and the decoder's counters are those of the whole stream.
void stalled(unsigned seed, WhenFull when_full) {
    const Case test(seed, 40'000);
    CounterMap expected;
    alone(test, expected);
    const auto chain = test.threaded(when_full, 4096);
    std::thread pusher([&] {
        for (size_t at = 0; at < test.bytes.size(); at += 512)
            chain->push_bytes({test.bytes.data() + at, std::min(size_t{512}, test.bytes.size() - at)}, {});
        chain->finish();
    });
    Result result;
    int64_t told = 0;
    for (int i = 0; i < 200; ++i) check(identity_holds(chain->counters()), "stalled: events without a name", seed);
    pusher.join();
    for (bool ready = true; chain->poll(result, ready, milliseconds(0)).ok() && ready;) told += result.dropped;
    CounterMap counters = chain->counters();
    const int64_t lost = counters["dropped.ring_full"] + counters["dropped.decimated"];
    check(identity_holds(counters) && counters["pending"] == 0, "stalled: events without a name", seed);
    check(lost > 0 && told <= lost, "stalled: nothing was dropped, or results name more", seed);
    check(when_full != WhenFull::decimate || counters["dropped.decimated"] > 0, "stalled: not decimated", seed);
    for (const char* name : {"decoder.bad_words", "decoder.out_of_range", "decoder.time_resyncs", "bytes_in"})
        check(counters[name] == expected[name], std::string("stalled: other ") + name, seed);
    check(counters["events_in"] - counters["decoder.out_of_range"] <= 40'000 || seed % 3 == 0, "events from nowhere");
}

// Saved in the middle, while the reader reads; a chain with or without threads goes on to the same decisions.
void saved(const Case& test, unsigned seed, bool to_threads) {
    CounterMap expected;
    const Lines lines = alone(test, expected);
    int fds[2];
    if (pipe(fds) != 0) return check(false, "no pipe");
    const auto chain = test.threaded(WhenFull::drop_oldest);
    chain->read(fds[0], true, "pipe");
    std::thread writer([&] { write_all(fds[1], test.bytes, 256); });
    Lines found;
    Result result;
    while (found.size() < lines.size() / 2) {
        bool ready = false;
        chain->poll(result, ready, milliseconds(5));
        if (ready) found.push_back(describe(result));
    }
    const StateTensors state = chain->save();
    writer.join();
    const auto cursor = static_cast<size_t>(StateReader(state, "counters").get_array<int64_t>("input")[1]);
    const Span<const uint8_t> rest{test.bytes.data() + cursor, test.bytes.size() - cursor};
    if (to_threads) {
        const auto twin = test.threaded(WhenFull::drop_oldest);
        twin->load(state);
        twin->push_bytes(rest, {});
        twin->finish();
        drain(*twin, found);
    } else {
        const auto twin = test.chain();
        twin->load(state);
        twin->input().push_bytes(rest, {});
        twin->input().finish();
        for (bool ready = true; twin->poll(result, ready).ok() && ready;) found.push_back(describe(result));
    }
    check(found == lines, "saved: other decisions", seed);
    close(fds[0]);
    close(fds[1]);
}

// A snapshot of a chain without threads, with bytes that wait, goes on in one with threads.
void loaded(const Case& test, unsigned seed) {
    CounterMap expected;
    const Lines lines = alone(test, expected);
    const auto first = test.chain();
    first->input().push_bytes({test.bytes.data(), test.bytes.size()}, {});
    Lines found;
    Result result;
    bool ready = true;
    while (found.size() < lines.size() / 3 && first->poll(result, ready).ok() && ready)
        found.push_back(describe(result));
    const auto twin = test.threaded(WhenFull::drop_oldest, kLeastRing);
    twin->load(first->save());
    twin->finish();
    drain(*twin, found);
    check(found == lines, "loaded: other decisions", seed);
}

// Strict: the error comes after all decisions before it, at every call. Closed at any moment: nothing hangs.
void ends(unsigned seed) {
    const Case test(seed * 3 + 3);
    const auto plain = test.chain(events::OnCorrupt::strict);
    plain->input().push_bytes({test.bytes.data(), test.bytes.size()}, {});
    plain->input().finish();
    Lines expected, found;
    Result result;
    Status error;
    for (bool ready = true; (error = plain->poll(result, ready)).ok() && ready;) expected.push_back(describe(result));
    ThreadedChain chain(test.chain(events::OnCorrupt::strict), {WhenFull::drop_oldest, size_t{1} << 20, 2});
    chain.push_bytes({test.bytes.data(), test.bytes.size()}, {});
    if (error.ok()) chain.finish();
    const Status status = drain(chain, found);
    check(status.what == error.what && status.offset == error.offset && found == expected, "strict: another end", seed);
    bool ready = false;
    check(chain.poll(result, ready, milliseconds(0)).what == error.what, "strict: the error does not stay", seed);

    int fds[2];
    if (pipe(fds) != 0) return check(false, "no pipe");
    const Case big(1, 20'000);
    const auto waiting = big.threaded(WhenFull::block, kLeastRing);
    waiting->read(fds[0], false, "pipe");
    std::thread pusher([&] {
        try {
            for (;;) waiting->push_bytes({big.bytes.data(), big.bytes.size()}, {});
        } catch (const Error&) {  // closed
        }
    });
    std::this_thread::sleep_for(milliseconds(seed % 3));
    waiting->close();
    pusher.join();
    check(identity_holds(waiting->counters()), "closed: events without a name", seed);
    close(fds[0]);
    close(fds[1]);
}

// A sender that goes away inside a word and comes back: the second connection begins with a whole word.
void reconnected() {
    const Case test(2);
    const auto chain = test.threaded(WhenFull::drop_oldest);
    for (int turn = 0; turn < 3; ++turn) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return check(false, "no socket");
        chain->read(fds[0], false, "socket");
        Bytes bytes = test.bytes;
        bytes.push_back(0x42);
        write_all(fds[1], bytes, 4000);
        close(fds[1]);
        close(fds[0]);
        while (chain->reading()) std::this_thread::yield();
    }
    chain->finish();
    Lines found;
    CounterMap expected;
    alone(test, expected);
    check(drain(*chain, found).ok(), "reconnected: failed");
    CounterMap counters = chain->counters();
    check(counters["events_in"] == 3 * expected["events_in"], "reconnected: not every event came in");
    check(counters["decoder.truncated_bytes"] == 3, "reconnected: the half words are not counted");
    check(counters["decoder.bad_words"] == 0, "reconnected: words were torn");
}

void refused() {
    const Case test(1, 10);
    const auto chain = test.threaded(WhenFull::block);
    const auto refuses = [](const char* what, const std::function<void()>& call) {
        try {
            call();
        } catch (const Error& error) {
            return check(error.status().kind == ErrorKind::usage, std::string(what) + ": another error");
        }
        check(false, std::string(what) + ": not refused");
    };
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return check(false, "no socket");
    refuses("no descriptor", [&] { chain->read(-1, true, "x"); });
    refuses("a folder", [&] { chain->read(open("/tmp", O_RDONLY | O_CLOEXEC), true, "x"); });
    refuses("a socket that waits", [&] { chain->read(fds[0], true, "x"); });
    refuses("a ring of nothing", [&] { test.threaded(WhenFull::block, 1); });
    const Event event{};
    for (const DuePacket& packet : {DuePacket{2, 0, 0}, DuePacket{-1, 0, 0}})
        refuses("a packet without its events", [&] { chain->push_paced({&event, 1}, {&packet, 1}); });
    chain->finish();
    refuses("a push after the end", [&] { chain->push_bytes({test.bytes.data(), 2}, {}); });
    refuses("a descriptor after the end", [&] { chain->read(fds[0], true, "x"); });
    close(fds[0]);
    close(fds[1]);
}

}  // namespace

int main() {
    for (unsigned seed = 0; seed < drawn_cases(12); ++seed) {
        const Case test(seed);
        from_file(test, seed);
        from_pipe(test, seed);
        from_socket(test, seed);
        from_datagrams(test, seed);
        from_pushes(test, seed, seed % 2 == 0 ? WhenFull::block : WhenFull::drop_oldest);
        from_schedule(test, seed);
        stalled(seed, seed % 2 == 0 ? WhenFull::drop_oldest : WhenFull::decimate);
        saved(test, seed, seed % 2 == 0);
        loaded(test, seed);
        ends(seed);
    }
    reconnected();
    refused();
    if (failures == 0) std::puts("threaded chain: ok");
    return failures == 0 ? 0 : 1;
}
