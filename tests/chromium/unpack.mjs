// node unpack.mjs FOLDER: what @sparticuz/chromium ships, unpacked: the browser, the libraries that it needs and that a bare
// system lacks, and a font.
import { createReadStream, createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const require = createRequire(import.meta.url);
const { extract } = require("tar-fs");
const packed = join(dirname(require.resolve("@sparticuz/chromium")), "..", "..", "bin");
const folder = resolve(process.argv[2]);

mkdirSync(folder, { recursive: true });
const unpack = (name, target) => pipeline(createReadStream(join(packed, name)), createBrotliDecompress(), target);
await unpack("al2023.tar.br", extract(folder));
await unpack("fonts.tar.br", extract(folder));
writeFileSync(join(folder, "fonts.conf"), `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/font-cache</cachedir></fontconfig>
`);
await unpack("chromium.br", createWriteStream(join(folder, "chromium"), { mode: 0o755 }));
