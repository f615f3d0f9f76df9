# Python's multiprocessing: processes, pools, queues, pipes, shared values, over 64 MiB of objects.
cat >suite.py <<'END'
import multiprocessing as m

held = [bytes([n % 256]) * 4096 for n in range(16384)]


def total(first):
    return sum(held[n][0] for n in range(first, len(held), 64))


def serve(requests, answers):
    for first in iter(requests.get, None):
        answers.put((first, total(first)))


def add(value, lock):
    for _ in range(50):
        with lock:
            value.value += 1


def echo(end):
    while (word := end.recv()) is not None:
        end.send(word + 1)


if __name__ == "__main__":
    m.set_start_method("fork")
    right = [total(n) for n in range(64)]
    for _ in range(10):
        with m.Pool(4) as pool:
            assert pool.map(total, range(64)) == right
    for _ in range(30):
        worker = m.Process(target=total, args=(1,))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
    requests, answers = m.Queue(), m.Queue()
    workers = [m.Process(target=serve, args=(requests, answers)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for n in range(64):
        requests.put(n)
    assert dict(answers.get() for _ in range(64)) == dict(enumerate(right))
    for _ in workers:
        requests.put(None)
    value, lock = m.Value("i", 0), m.Lock()
    workers += [m.Process(target=add, args=(value, lock)) for _ in range(4)]
    for worker in workers[4:]:
        worker.start()
    for worker in workers:
        worker.join()
    assert value.value == 200
    ours, theirs = m.Pipe()
    worker = m.Process(target=echo, args=(theirs,))
    worker.start()
    for n in range(200):
        ours.send(n)
        assert ours.recv() == n + 1
    ours.send(None)
    worker.join()
    with m.Manager() as manager:
        shared = manager.dict()
        for n in range(50):
            shared[n] = n
        assert len(shared) == 50
END
begin
python3 suite.py
end
