// Looks at the pages and charts of a site as a reader does: every page at the width of a desktop
// and of a phone, in light and dark. Prints what is wrong, one finding a line, and fails if
// anything is. `node check.mjs SITE [FOLDER]` also leaves pictures in FOLDER.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [site, pictures] = process.argv.slice(2).map((path) => resolve(path));
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const files = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
const all = files(site).sort();
const pages = all.filter((file) => file.endsWith(".html") && !file.endsWith("index.html"));
const charts = all.filter((file) => file.endsWith(".svg"));
const findings = new Set();

// Runs in the page.
function lookAtPage() {
  const found = [];
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) {
    found.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${wide}`);
  }
  const colours = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (text) => {
    if (!known.has(text)) {
      colours.clearRect(0, 0, 1, 1);
      colours.fillStyle = text;
      colours.fillRect(0, 0, 1, 1);
      known.set(text, [...colours.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(text);
  };
  // WCAG 2.2: relative luminance and contrast.
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const background = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 255] : [255, 255, 255, 255];
  };
  const scrolls = (element) => {
    for (let one = element; one; one = one.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(one).overflowX)) return true;
    }
    return false;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
    const is = contrast(rgba(getComputedStyle(element).color), background(element));
    if (is < 4.5) found.push(`contrast ${is.toFixed(1)} of "${node.data.trim().slice(0, 40)}"`);
  }
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    const outside = box.right > wide + 0.5 || box.left < -0.5;
    if (box.width > 0 && outside && !scrolls(element)) {
      found.push(`<${element.tagName.toLowerCase()}> from ${box.left.toFixed(0)} to ${box.right.toFixed(0)} in ${wide}`);
    }
  }
  for (const image of document.images) {
    if (!image.complete || image.naturalWidth === 0) found.push(`picture ${image.src} is not there`);
  }
  return found;
}

// Runs in a chart: texts inside it, none on another, all readable on the background.
function lookAtChart() {
  const found = [];
  const [, , wide, high] = document.documentElement.getAttribute("viewBox").split(" ").map(Number);
  const boxes = [...document.querySelectorAll("text")].map((text) => {
    const box = text.getBBox();
    return { said: text.textContent, left: box.x, top: box.y + 2, right: box.x + box.width, bottom: box.y + box.height - 2 };
  });
  for (const [index, one] of boxes.entries()) {
    if (one.left < 0 || one.top < 0 || one.right > wide || one.bottom > high) found.push(`"${one.said}" leaves the chart`);
    for (const other of boxes.slice(0, index)) {
      const apart = one.left >= other.right || other.left >= one.right || one.top >= other.bottom || other.top >= one.bottom;
      if (!apart) found.push(`"${one.said}" covers "${other.said}"`);
    }
  }
  if (!document.querySelector("title")?.textContent) found.push("no title");
  return found;
}

const profile = mkdtempSync(join(tmpdir(), "localrig-site-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.LOCALRIG_CHROMIUM ?? "/usr/bin/chromium",
  chromiumSandbox: false,
  headless: true,
  args: FLAGS,
});
try {
  const page = browser.pages()[0] ?? (await browser.newPage());
  let where = "";
  const say = (what) => findings.add(`${where}: ${what}`);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && say(message.text()));
  page.on("pageerror", (error) => say(String(error)));
  page.on("request", (request) => /^(file|data):/.test(request.url()) || say(`fetches ${request.url()}`));
  page.on("requestfailed", (request) => say(`cannot load ${request.url()}`));
  for (const [name, size] of Object.entries(SIZES)) {
    await page.setViewportSize(size);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const file of pages) {
        const path = relative(site, file);
        where = `${path} (${name}, ${colorScheme})`;
        await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
        (await page.evaluate(lookAtPage)).forEach(say);
        if (pictures) {
          const picture = `${path.replaceAll("/", "-")}-${name}-${colorScheme}.png`;
          await page.screenshot({ path: join(pictures, picture) });
        }
      }
    }
  }
  for (const file of charts) {
    where = relative(site, file);
    await page.goto(pathToFileURL(file).href);
    (await page.evaluate(lookAtChart)).forEach(say);
  }
  // The search finds a page by words of its text, and its links lead there.
  where = "search";
  await page.goto(pathToFileURL(pages[0]).href);
  await page.fill("#search", "bandwidth");
  const links = await page.$$eval("#found a", (found) => found.map((link) => link.getAttribute("href")));
  if (links.length === 0) say("nothing is found for `bandwidth`");
  await page.fill("#search", "no-such-word-anywhere");
  if ((await page.$$("#found a")).length > 0) say("finds what is nowhere");
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
for (const one of findings) console.log(one);
console.log(`${pages.length} pages and ${charts.length} charts looked at, ${findings.size} findings`);
process.exit(findings.size > 0 || pages.length === 0 ? 1 : 0);
