// Looks at a report as its reader would, and says what was found. The tests run it in the
// page; it is no part of it.
(() => {
  const shown = e => e.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) && e.getClientRects().length > 0
  const describe = e => `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") || ""}"> ${e.textContent.trim().slice(0, 60)}`

  // Colours, as the browser computes them, to the luminance that WCAG 2 defines.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })
  const rgba = color => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    return 0.2126 * R + 0.7152 * G + 0.0722 * B
  }
  const contrast = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x)
    return (light + 0.05) / (dark + 0.05)
  }
  const background = e => {
    for (; e; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor)
      if (color[3] === 255) return color
    }
    return [255, 255, 255, 255]
  }

  const faint = []
  let texts = 0
  const judge = (e, color, behind) => {
    texts++
    const ratio = contrast(color, behind)
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${describe(e)}`)
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement
    if (!walker.currentNode.data.trim() || !shown(e) || e.closest("svg, .unseen")) continue
    judge(e, rgba(getComputedStyle(e).color), background(e))
  }
  const ticks = [...document.querySelectorAll(".axis text.tick")].filter(shown)
  for (const text of ticks) {
    judge(text, rgba(getComputedStyle(text).fill), background(document.body))
  }

  // The whole name of each step can be seen: it is within its line, and nothing cuts it.
  const names = [...document.querySelectorAll(".tree .name, #trouble .name")].filter(shown)
  const clipped = names.filter(name => {
    const box = name.getBoundingClientRect(), line = name.closest("summary, .row").getBoundingClientRect()
    const style = getComputedStyle(name)
    return style.overflow !== "visible" || style.textOverflow !== "clip" || name.clientWidth && name.scrollWidth > name.clientWidth ||
      box.left < line.left - 1 || box.right > line.right + 1 || box.top < line.top - 1 || box.bottom > line.bottom + 1 || box.width < 12
  }).map(describe)

  // The times in all lines stand below those on the axis, which don't cover one another.
  const axis = document.querySelector(".axis .track")?.getBoundingClientRect()
  const apart = [...document.querySelectorAll(".tree .track")].filter(shown).filter(track => {
    const box = track.getBoundingClientRect()
    return Math.abs(box.left - axis.left) > 1 || Math.abs(box.width - axis.width) > 1
  }).map(track => describe(track.parentElement))
  const covered = ticks.filter((tick, i) => i && ticks[i - 1].getBoundingClientRect().right > tick.getBoundingClientRect().left + 1).map(describe)

  // What scrolls by itself may hold what is wider than the window.
  const wide = [...document.body.querySelectorAll("*")].filter(e =>
    shown(e) && !e.closest("pre *, .unseen, .signs, .track *") && e.getBoundingClientRect().right > innerWidth + 1).map(describe)

  // What passed can be left out, and comes back.
  const passed = () => [...document.querySelectorAll(".clean")].filter(shown).length
  const filter = document.querySelector("#hide-passed")
  let left = 0
  if (filter) {
    filter.click()
    left = passed()
    filter.click()
    if (!passed()) left = -1
  }

  // What is folded among many opens without a script.
  const rows = () => [...document.querySelectorAll(".tree .node")].filter(shown).length
  const folded = rows()
  const rests = [...document.querySelectorAll(".rest > summary")]
  rests.forEach(summary => summary.click())
  const unfolded = rows()
  rests.forEach(summary => summary.click())

  const failures = [...document.querySelectorAll("#trouble .failure")]
  return {
    scroll: document.documentElement.scrollWidth,
    width: innerWidth,
    wide,
    failures: failures.length,
    hidden: failures.filter(f => !f.open || !shown(f.querySelector(".inside"))).map(describe),
    faint,
    texts,
    left,
    clipped,
    names: names.length,
    apart,
    folded,
    unfolded,
    covered,
    summaries: [...document.querySelectorAll("summary")].filter(shown).length,
  }
})()
