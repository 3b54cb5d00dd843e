"""Times the iterations of one contestant in this process, and prints JSON.

    python peer.py LIBRARY CASE CONFIGURATIONS WARM_UP ITERATIONS THREADS PRECISION

PRECISION is f32 or bf16. With bf16 the forward pass and the loss run under torch.autocast and the
backward pass outside of it, as its documentation recommends.
"""

import json
import resource
import sys
import time

import torch
from nets import CASES, NEURONS


def main():
    library, case, configurations, warm_up, iterations, threads, precision = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    make, shape, batch, t_max, _, training = CASES[case]
    net = make(NEURONS[library])
    all_configurations = json.load(open(configurations))
    events = shape[0] == 2
    x = torch.randn(1, batch, *shape)
    if events:
        x = (torch.randint(0, 20, (t_max, batch, *shape)) - 17).clamp(min=0).float()
    labels = torch.arange(batch) % 10
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    criterion = torch.nn.CrossEntropyLoss()
    seconds = []
    net.train(training)

    def at_precision():
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")

    def reset():
        if library == "spikingjelly":
            from spikingjelly.activation_based import functional

            functional.reset_net(net)

    for k in range(int(warm_up) + int(iterations)):
        start = time.perf_counter()
        for configuration in all_configurations[k % len(all_configurations)]:
            reset()
            if training:
                with at_precision():
                    loss = criterion(net(x, configuration).mean(0), labels)
                loss.backward()
            else:
                with torch.no_grad(), at_precision():
                    net(x, configuration)
        if training:
            optimiser.step()
            optimiser.zero_grad()
        if k >= int(warm_up):
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


main()
