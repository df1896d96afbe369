/* The live figures of the book: each is a function from the values of its inputs to the points of its curves and a
   sentence. `course/book/live.py` has the same functions, draws the axes and the first picture, and is compared with
   this file by `tests/book/test_live.py`. A plain script: browsers load no modules from file://. */
"use strict";
(() => {
  const range = (n, low, high) => Array.from({ length: n }, (_, i) => low + ((high - low) * i) / (n - 1));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const bars = (at, heights) => at.flatMap((x, i) => [[x - 0.4, 0], [x - 0.4, heights[i]], [x + 0.4, heights[i]], [x + 0.4, 0]]);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;

  const figures = {
    wilson({ episodes: n, successes: k }) {
      const z = 1.959963984540054, rate = k / n;
      const centre = (rate + (z * z) / (2 * n)) / (1 + (z * z) / n);
      const half = (z * Math.sqrt((rate * (1 - rate)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n);
      const wide = z * Math.sqrt((rate * (1 - rate)) / n);
      const [low, high] = [centre - half, centre + half], [from, to] = [rate - wide, rate + wide];
      const test = range(199, 0.005, 0.995).map((p) => [p, Math.abs(rate - p) / Math.sqrt((p * (1 - p)) / n)]);
      return {
        curves: {
          test,
          ends: [[low, z], [low, -0.6], null, [high, z], [high, -0.6]],
          wilson: [[low, -0.6], [high, -0.6]],
          textbook: [[from, -1.2], [to, -1.2]],
        },
        said: `${k} of ${n}: Wilson's interval is ${percent(low)} to ${percent(high)}, the textbook's ` +
          `${percent(from)} to ${percent(to)}.`,
      };
    },

    clip({ advantage, epsilon, ratio }) {
      const a = advantage === "better" ? 1 : -1;
      const free = (r) => r * a, bound = (r) => Math.min(Math.max(r, 1 - epsilon), 1 + epsilon) * a;
      const objective = (r) => Math.min(free(r), bound(r)), flat = free(ratio) > bound(ratio);
      const at = range(251, 0, 2.5);
      return {
        curves: {
          free: at.map((r) => [r, free(r)]),
          objective: at.map((r) => [r, objective(r)]),
          here: [[ratio, objective(ratio)], [ratio, objective(ratio)]],
        },
        said: `At a ratio of ${ratio.toFixed(2)} the objective is ${objective(ratio).toFixed(2)} and its slope ` +
          `${flat ? 0 : a}: ${flat ? "this sample no longer moves the policy." : `the action is made ${a > 0 ? "more" : "less"} likely.`}`,
      };
    },

    gae({ trace, gamma, step }) {
      const ahead = range(50, 0, 49).map((i) => i - step), shrink = gamma * trace;
      const weights = ahead.map((l) => (l < 0 ? 0 : shrink ** l));
      return {
        curves: {
          weights: bars(range(50, 0, 49), weights),
          discount: ahead.flatMap((l, i) => (l < 0 ? [] : [[i, gamma ** l]])),
        },
        said: `Step ${step} adds up ${50 - step} errors, as much as ${sum(weights).toFixed(1)} of full weight. By Theorem ` +
          `2.2 the bias is at most ${((gamma * (1 - trace)) / (1 - shrink)).toFixed(2)} times the critic's error, the ` +
          `variance at most ${(1 / (1 - shrink * shrink)).toFixed(1)} times that of one step.`,
      };
    },

    relabelling({ strategy, k, length: L }) {
      const relabelled = k / (k + 1), offsets = range(2 * L, 1 - L, L);
      const ahead = (j) => sum(range(L, 1, L).map((n) => (n < j ? 0 : 1 / n))) / L;
      const share = {
        future: (j) => (j < 1 ? 0 : ahead(j)),
        final: (j) => (j < 1 ? 0 : 1 / L),
        episode: (j) => (j < 1 ? L - 1 + j : L - j + 1) / (L * L),
      }[strategy];
      const shares = offsets.map((j) => relabelled * share(j)), later = shares.slice(L);
      const mean = sum(later.map((p, i) => p * (i + 1))) / sum(later);
      return {
        curves: { shares: bars(offsets, shares) },
        said: `${percent(relabelled)} of a minibatch are relabelled: ${percent(later[0])} with the goal that their own ` +
          `step achieved, ${percent(sum(shares.slice(0, L)))} with one from before it. Those ahead lie ` +
          `${mean.toFixed(2)} steps ahead on average.`,
      };
    },

    entropy({ temperature, gap }) {
      const width = 0.005, actions = range(400, -0.9975, 0.9975);
      const values = actions.map((a) => Math.exp(-(((a + 0.5) / 0.25) ** 2)) + (1 + gap) * Math.exp(-(((a - 0.5) / 0.25) ** 2)));
      const top = Math.max(...values);
      const density = (t) => {
        const free = values.map((q) => Math.exp((q - top) / t)), total = width * sum(free);
        return free.map((one) => one / total);
      };
      const entropy = (p) => -width * sum(p.map((one) => (one > 0 ? one * Math.log(one) : 0)));
      const policy = density(temperature), highest = Math.max(...policy), now = entropy(policy);
      const powers = range(61, -2, 1), here = [Math.log10(temperature), now];
      return {
        curves: {
          values: actions.map((a, i) => [a, values[i]]),
          policy: [[actions[0], 0], ...actions.map((a, i) => [a, policy[i] / highest]), [actions[399], 0]],
          entropy: powers.map((power) => [power, entropy(density(10 ** power))]),
          here: [here, here],
        },
        said: `At a temperature of ${Number(temperature.toPrecision(2))} the policy has ${now.toFixed(2)} nats of at most 0.69 and ` +
          `goes to the right with probability ${percent(width * sum(policy.slice(200)))}.`,
      };
    },
  };

  /** Join the inputs of a figure to its curves: `data-scales` places a curve's points (x, y) in the picture. */
  function join(figure) {
    const inputs = [...figure.querySelectorAll("input, select")], scales = JSON.parse(figure.dataset.scales);
    function redraw() {
      const values = {};
      for (const input of inputs) {
        if (input.dataset.most) input.max = values[input.dataset.most];
        values[input.name] = input.type === "range" ? Number(input.value) : input.value;
        if (input.dataset.power) values[input.name] = 10 ** values[input.name];
        if (input.type === "range") input.nextElementSibling.value = Number(values[input.name].toPrecision(2 + 2 * !input.dataset.power));
      }
      const { curves, said } = figures[figure.dataset.live](values);
      for (const [name, points] of Object.entries(curves)) {
        const [x0, dx, y0, dy] = scales[name];
        const place = (point, i) => point && `${i && points[i - 1] ? "L" : "M"}${(x0 + dx * point[0]).toFixed(2)} ${(y0 + dy * point[1]).toFixed(2)}`;
        figure.querySelector(`#live-${figure.dataset.live}-${name} path`).setAttribute("d", points.map(place).filter(Boolean).join(""));
      }
      figure.querySelector("[aria-live]").textContent = said;
    }
    figure.addEventListener("input", redraw);
    figure.querySelector(".wp-inputs").hidden = false;
    redraw();
  }

  globalThis.wellposedFigures = figures;
  if (globalThis.document) document.querySelectorAll("[data-live]").forEach(join);
})();
