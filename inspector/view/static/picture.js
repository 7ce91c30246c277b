// One frame on a canvas: the frame itself, the repaired pieces to the right of a border, the defects' outlines.

const GREY = "#808080";

const picture = (bytes) => createImageBitmap(new Blob([bytes])).catch(() => null); // damaged: there is none

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.border = 1; // where "repaired" begins, as a share of the width; 1: nowhere
    this.outline = true;
    this.shown = null;
    this.drawn = "";
  }

  // said: size, outlines, pieces and base, as the server tells them;  parts: the bytes that they speak of
  static async load(said, parts) {
    const base = said.base === null ? null : await picture(parts[said.base]);
    const pieces = await Promise.all(
      (said.pieces ?? []).map(async ({ box, part }) => ({ box, image: await picture(parts[part]) })),
    );
    return { ...said, base, pieces: pieces.filter(({ image }) => image !== null), outlines: said.outlines ?? [] };
  }

  // Draws where something is new.
  show(loaded) {
    const how = `${this.border} ${this.outline}`;
    if (this.shown === loaded && this.drawn === how) return;
    this.shown = loaded;
    this.drawn = how;
    this.draw();
  }

  clear() {
    if (this.shown === null) return;
    this.shown = null;
    Object.assign(this.canvas, { width: 640, height: 480 }); // which clears it
  }

  draw() {
    if (this.shown === null) return;
    const { base, size, pieces, outlines } = this.shown;
    const [height, width] = size;
    const shrunk = Math.min(1, 640 / Math.max(width, height));
    const [w, h] = base ? [base.width, base.height] : [Math.round(width * shrunk), Math.round(height * shrunk)];
    if (this.canvas.width !== w) this.canvas.width = w;
    if (this.canvas.height !== h) this.canvas.height = h;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = GREY;
    if (base) pen.drawImage(base, 0, 0, w, h);
    else pen.fillRect(0, 0, w, h);
    pen.setTransform(w / width, 0, 0, h / height, 0, 0); // from here on in pixels of the frame
    if (this.border < 1) this.#repair(pen, pieces, width, height);
    if (this.border > 0 && this.border < 1) this.#divide(pen, width, height, width / w);
    if (this.outline) this.#encircle(pen, outlines, width / w);
  }

  #repair(pen, pieces, width, height) {
    pen.save();
    pen.beginPath();
    pen.rect(this.border * width, 0, width, height);
    pen.clip();
    for (const { box, image } of pieces) pen.drawImage(image, ...box);
    pen.restore();
  }

  #divide(pen, width, height, pixel) {
    pen.fillStyle = "#fff";
    pen.fillRect(this.border * width - pixel, 0, 2 * pixel, height);
  }

  // Dark under bright, so that it is seen on any picture.
  #encircle(pen, outlines, pixel) {
    const line = new Path2D();
    for (const points of outlines) {
      line.moveTo(points[0] + 0.5, points[1] + 0.5);
      for (let at = 2; at < points.length; at += 2) line.lineTo(points[at] + 0.5, points[at + 1] + 0.5);
      line.closePath();
    }
    pen.lineJoin = "round";
    for (const [colour, thickness] of [["#000", 5], ["#ffd400", 2.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = thickness * pixel;
      pen.stroke(line);
    }
  }
}
