// Writes a key under a passphrase as ethers does: node keep_ethers.mjs 0xKEY PASSPHRASE.
import { Wallet } from "ethers";

const [, , secret, passphrase] = process.argv;
process.stdout.write(new Wallet(secret).encryptSync(passphrase));
