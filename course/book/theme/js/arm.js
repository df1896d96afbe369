/* The arm in the page: MuJoCo compiled to WebAssembly, Fetch Push on top of it, and a trained policy that acts. The
   engine and the scene are in a file of their own (`course/book/engine.py`), which is loaded when the reader asks for
   it. The physics, the observation and the policy are those of `envs/suites/fetch` and `portable.py`;
   `tests/book/test_arm.py` compares them step by step. */
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const unzip = (text) => new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip")));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

  /** The policy of a file that `wellposed export` wrote, as a function from an observation to an action. */
  function policy({ header, arrays }) {
    const read = ({ shape, type, data }) => {
      const flat = new { float32: Float32Array, int32: Int32Array }[type](bytes(data).buffer);
      return shape.length < 2 ? flat : Array.from({ length: shape[0] }, (_, i) => flat.subarray(i * shape[1], (i + 1) * shape[1]));
    };
    const { plus, minus, mean, std, groups, ...rest } = Object.fromEntries(Object.entries(arrays).map(([name, one]) => [name, read(one)]));
    const depth = Object.keys(rest).length / 2, bound = (x) => Math.min(Math.max(x, -header.clip), header.clip);
    return (obs) => {
      const x = Float32Array.from([...header.fields.flatMap(({ name, origin }) => Array.from(obs[name], (one, i) => one - (origin[i] ?? 0))), 0]);
      const offset = mean.map((one, i) => (x[plus[i]] - x[minus[i]] - one) / std[i]);
      const far = groups.map((group) => Math.log(Math.sqrt(sum(Array.from(group, (i) => offset[i] ** 2)) / group.length) + header.nearest));
      let h = [...offset.slice(0, rest["weights.0"].length - far.length), ...far].map(bound);
      for (let layer = 0; layer < depth; layer++) {
        const weights = rest[`weights.${layer}`], out = Array.from(rest[`biases.${layer}`]);
        for (let i = 0; i < h.length; i++) for (let j = 0; j < out.length; j++) out[j] += h[i] * weights[i][j];
        h = layer < depth - 1 ? out.map((one) => Math.max(one, 0)) : out;
      }
      return h.slice(0, header.action_low.length).map((one) => (header.squash === "tanh" ? Math.tanh(one) : Math.min(Math.max(one, -1), 1)));
    };
  }

  /** One arm on its table. */
  class Arm {
    constructor(mujoco, scene) {
      mujoco.FS.mkdir("/fetch");
      for (const [name, text] of Object.entries(scene.files)) mujoco.FS.writeFile(`/fetch/${name}`, bytes(text));
      const model = mujoco.MjModel.from_xml_path("/fetch/push.xml");
      Object.assign(this, { mujoco, scene, model, data: new mujoco.MjData(model) });
      this.linear = new mujoco.DoubleBuffer(3 * model.nv);
      this.angular = new mujoco.DoubleBuffer(3 * model.nv);
      model.eq_data.set([0, 0, 0, 0, 0, 0, 1]); // the weld holds hand and mocap body at one pose
    }

    /** Begin with the block at (x, y). */
    restart(block) {
      const { mujoco, scene, model, data } = this;
      mujoco.mj_resetData(model, data);
      data.time = scene.time;
      data.qpos.set(scene.qpos);
      data.qvel.set(scene.qvel);
      data.qpos.set(block, scene.object_qpos);
      mujoco.mj_forward(model, data);
    }

    /** One environment step of an action in [-1, 1]. */
    advance(action) {
      const { mujoco, scene, model, data } = this;
      for (let i = 0; i < 3; i++) data.mocap_pos[i] = data.xpos[3 * scene.hand + i] + Math.fround(Math.fround(action[i]) * Math.fround(scene.scale));
      for (let i = 0; i < 4; i++) data.mocap_quat[i] = data.xquat[4 * scene.hand + i] + [1, 0, 1, 0][i];
      for (let i = 0; i < scene.substeps; i++) mujoco.mj_step(model, data);
      data.qpos.fill(0, scene.fingers, scene.fingers + 2);
      mujoco.mj_kinematics(model, data);
      mujoco.mj_comPos(model, data);
    }

    /** Where a site is. */
    place(site) {
      return Array.from(this.data.site_xpos.subarray(3 * site, 3 * site + 3));
    }

    /** How a site moves and turns in one environment step. */
    motion(site) {
      const { mujoco, scene, model, data, linear, angular } = this;
      mujoco.mj_jacSite(model, data, linear, angular, site);
      return [linear, angular].map((jacobian) => [0, 1, 2].map((row) =>
        scene.dt * sum(Array.from(data.qvel, (one, i) => one * jacobian.GetView()[row * model.nv + i]))));
    }

    /** What the policy is shown. `error`: standard deviation, in metres, of every measured position. */
    observe(goal, error = 0) {
      const { scene, data } = this, m = data.site_xmat.subarray(9 * scene.object, 9 * scene.object + 9);
      const regular = Math.hypot(m[8], m[5]) > 4 * Number.EPSILON;
      const angles = [regular ? -Math.atan2(m[5], m[8]) : 0, Math.atan2(m[2], Math.hypot(m[8], m[5])),
        regular ? -Math.atan2(m[1], m[0]) : Math.atan2(m[3], m[4])];
      const fingers = Array.from(data.qpos.subarray(scene.fingers, scene.fingers + 2));
      const closing = Array.from(data.qvel.subarray(scene.finger_speeds, scene.finger_speeds + 2), (one) => one * scene.dt);
      const [[speed], [pushed, turned]] = [this.motion(scene.grip), this.motion(scene.object)];
      let measured = [this.place(scene.grip), fingers, speed, closing, this.place(scene.object), angles, pushed, turned];
      measured = measured.map((part, i) => part.map((one, j) => one + (error && error * scene.sensed[i][j] * normal())));
      const [hand, finger, hand_speed, finger_speed, block, angle, block_speed, turning] = measured;
      const less = (a, b) => a.map((one, i) => one - b[i]);
      return {
        observation: [hand, block, less(block, hand), finger, angle, less(block_speed, hand_speed), turning, hand_speed, finger_speed].flat(),
        achieved_goal: block,
        desired_goal: goal,
      };
    }
  }

  /* The picture: a parallel projection from the front right, each geom as the outline of its corners, the far ones first. */
  const [turn, tilt, size] = [-0.6, 0.7, 400];
  const right = [-Math.sin(turn), Math.cos(turn), 0];
  const up = [-Math.cos(turn) * Math.sin(tilt), -Math.sin(turn) * Math.sin(tilt), Math.cos(tilt)];
  const towards = [Math.cos(turn) * Math.cos(tilt), Math.sin(turn) * Math.cos(tilt), Math.sin(tilt)];
  const centre = [1.2, 0.75, 0.55];
  const shown = (p) => { const q = p.map((one, i) => one - centre[i]); return [size * dot(right, q), -size * dot(up, q)]; };

  /** The point at a height that is shown at (x, y). */
  function under([x, y], height) {
    const [a, b] = [x / size, (-y / size - up[2] * (height - centre[2]))];
    const det = right[0] * up[1] - right[1] * up[0];
    return [centre[0] + (a * up[1] - b * right[1]) / det, centre[1] + (right[0] * b - up[0] * a) / det];
  }

  /** The convex outline of points in the plane (Andrew's monotone chain). */
  function outline(points) {
    const sorted = points.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const half = (all) => all.reduce((chain, p) => {
      const left = (a, b) => (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
      while (chain.length > 1 && left(chain[chain.length - 2], chain[chain.length - 1]) <= 0) chain.pop();
      return [...chain, p];
    }, []);
    return [...half(sorted), ...half(sorted.reverse())];
  }

  /** Of each geom that is drawn, its corners in its own frame; of a mesh those that are extreme in some direction. */
  function corners({ model, scene }) {
    const cube = [-1, 1].flatMap((x) => [-1, 1].flatMap((y) => [-1, 1].map((z) => [x, y, z])));
    const ways = Array.from({ length: 200 }, (_, i) => { // a spiral of directions over the sphere
      const z = 1 - (2 * i + 1) / 200, r = Math.sqrt(1 - z * z);
      return [r * Math.cos(2.4 * i), r * Math.sin(2.4 * i), z];
    });
    return scene.drawn.map((geom) => {
      if (model.geom_type[geom] === 6) return cube.map((corner) => corner.map((one, i) => one * model.geom_size[3 * geom + i]));
      const mesh = model.geom_dataid[geom], first = model.mesh_vertadr[mesh];
      const all = Array.from({ length: model.mesh_vertnum[mesh] }, (_, i) => Array.from(model.mesh_vert.subarray(3 * (first + i), 3 * (first + i) + 3)));
      return [...new Set(ways.map((way) => all.reduce((best, one) => (dot(one, way) > dot(best, way) ? one : best))))];
    });
  }

  /** The picture as SVG: table and floor, then the arm and the block from far to near, then the goal. */
  function picture(arm, goal) {
    const { data, scene } = arm;
    arm.corners ??= corners(arm);
    const parts = scene.drawn.map((geom, i) => {
      const at = data.geom_xpos.subarray(3 * geom, 3 * geom + 3), m = data.geom_xmat.subarray(9 * geom, 9 * geom + 9);
      const world = arm.corners[i].map((c) => [0, 1, 2].map((row) => at[row] + m[3 * row] * c[0] + m[3 * row + 1] * c[1] + m[3 * row + 2] * c[2]));
      const path = (points, shade) => `<path class="wp-${scene.looks[i]}-part" fill-opacity="${shade}" d="M${points.map((p) => p.map((one) => one.toFixed(1)).join(" ")).join("L")}Z"/>`;
      if (arm.model.geom_type[geom] !== 6) return [scene.looks[i], dot(towards, at), path(outline(world.map(shown)), 1)];
      const faces = [0, 1, 2].map((axis) => { // of a box the three faces that can be seen
        const seen = m[axis] * towards[0] + m[3 + axis] * towards[1] + m[6 + axis] * towards[2];
        const face = world.filter((_, j) => (((j >> (2 - axis)) & 1) === 1) === seen > 0);
        return path(outline(face.map(shown)), (0.55 + 0.45 * Math.abs(m[6 + axis])).toFixed(2));
      });
      return [scene.looks[i], dot(towards, at), faces.join("")];
    });
    const order = ["floor", "table"];
    parts.sort((a, b) => order.includes(b[0]) - order.includes(a[0]) || a[1] - b[1]);
    const [x, y] = shown(goal).map((one) => one.toFixed(1));
    return parts.map((part) => part[2]).join("") + `<circle class="wp-goal" cx="${x}" cy="${y}" r="${(size * scene.radius).toFixed(1)}"/>`;
  }

  /** The action of so many steps ago, none before the first one. `waiting`: the last ones, to which this one is added. */
  function delayed(waiting, action, steps) {
    if (waiting.push(action) > 10) waiting.shift();
    return waiting[waiting.length - 1 - steps] ?? [0, 0, 0, 0];
  }

  /** The engine's file, unpacked: an arm at the start of an episode. */
  async function open(engine) {
    const [source, wasm, scene] = await Promise.all([unzip(engine.source).text(), unzip(engine.wasm).arrayBuffer(), unzip(engine.scene).json()]);
    const load = new Function(`${source}; return loadMujoco`)();
    return new Arm(await load({ wasmBinary: wasm }), scene);
  }

  /** Join the inputs of an element to an arm and its policies, and let it act 25 times a second. */
  function run(element, arm, policies) {
    const input = (name) => element.querySelector(`[name=${name}]`), svg = element.querySelector("svg");
    const { start, height, radius, reach } = arm.scene;
    const said = element.querySelector("[aria-live]"), pause = input("pause");
    const goal = () => [start[0] + input("forwards").value / 100, start[1] + input("sideways").value / 100, height];
    let waiting = [], step = 0;
    function again() {
      let block = start;
      while (Math.hypot(block[0] - start[0], block[1] - start[1]) < 0.1) block = start.map((one) => one + reach * (2 * Math.random() - 1)).slice(0, 2);
      [waiting, step] = [[], 0];
      arm.restart(block);
    }
    function tell() {
      const block = arm.place(arm.scene.object), away = Math.hypot(...block.map((one, i) => one - goal()[i]));
      said.textContent = block[2] < height - 0.05 ? "The block has fallen off the table: start again."
        : `Step ${step}: the block is ${(100 * away).toFixed(0)} cm from its goal${away < radius ? ", which counts as reached" : ""}.`;
    }
    function act() {
      const action = policies[input("policy").value](arm.observe(goal(), input("noise").value / 100));
      arm.advance(delayed(waiting, action, Number(input("delay").value)));
      svg.innerHTML = picture(arm, goal());
      if (step++ % 25 === 0) tell();
    }
    function drag(event) {
      if (event.buttons !== 1) return;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const [x, y] = under([at.x, at.y], height);
      input("forwards").value = 100 * (x - start[0]);
      input("sideways").value = 100 * (y - start[1]);
      element.dispatchEvent(new Event("input"));
      event.preventDefault();
    }
    svg.style.touchAction = "none"; // a finger drags the goal instead of the page
    svg.addEventListener("pointerdown", (event) => svg.setPointerCapture(event.pointerId));
    for (const kind of ["pointerdown", "pointermove"]) svg.addEventListener(kind, drag);
    input("again").addEventListener("click", again);
    pause.addEventListener("click", () => pause.setAttribute("aria-pressed", pause.getAttribute("aria-pressed") !== "true"));
    element.addEventListener("input", () => element.querySelectorAll("input").forEach((one) => (one.nextElementSibling.value = one.value)));
    again();
    setInterval(() => document.hidden || pause.getAttribute("aria-pressed") === "true" || act(), 40);
  }

  /** The button of an element loads the engine and starts it. */
  function offer(element) {
    const button = element.querySelector("[name=load]");
    const policies = JSON.parse(element.querySelector("script").textContent);
    button.hidden = false;
    button.addEventListener("click", () => {
      button.disabled = true;
      const script = document.createElement("script"), said = element.querySelector("[aria-live]");
      const fail = () => { said.textContent = "The simulator cannot be loaded here."; };
      said.textContent = "Loading the simulator ...";
      script.src = element.dataset.engine;
      script.onerror = fail;
      script.onload = async () => {
        try {
          const arm = await open(globalThis.wellposedEngine);
          run(element, arm, Object.fromEntries(Object.entries(policies).map(([name, one]) => [name, policy(one)])));
          element.querySelector(".wp-inputs").hidden = false;
          button.hidden = true;
        } catch (error) {
          console.error(error);
          fail();
        }
      };
      document.head.append(script);
    });
  }

  globalThis.wellposedArm = { open, picture, policy, delayed, under, shown };
  if (globalThis.document) document.querySelectorAll("[data-engine]").forEach(offer);
})();
