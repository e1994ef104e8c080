// regl is a classic script that leaves `createREGL`: this makes a module of it, for regl-scatterplot.
await new Promise((resolve, reject) => {
  const script = document.createElement('script');
  script.src = '/page/lib/regl.js';
  script.onload = resolve;
  script.onerror = () => reject(new Error('/page/lib/regl.js cannot be loaded'));
  document.head.append(script);
});
export default window.createREGL;
