const root = document.documentElement, button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
const show = () => { button.textContent = dark() ? "Light" : "Dark"; };
button.onclick = () => { root.dataset.theme = dark() ? "light" : "dark"; show(); };
system.onchange = show;
button.hidden = false;
show();
